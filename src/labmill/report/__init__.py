"""Results become a table, claims, a document, and proof: reads files only."""
