"""Errors, files, logs, provenance, fingerprints and registries; no domain knowledge."""
