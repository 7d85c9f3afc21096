"""Fetch the raw files of a dataset: mirrors, resume, verification."""
