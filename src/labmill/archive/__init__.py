"""Reproducibility archives: write, verify, reproduce, grade."""
