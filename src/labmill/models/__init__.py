"""Models: one family per file; the folder is the registry."""
