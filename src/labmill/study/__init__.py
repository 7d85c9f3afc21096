"""The study file: schema, loading, checks and resolved variants."""
