"""Collect a study's results into one table, and compute every claim."""
