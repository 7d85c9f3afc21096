"""Structural pruning: units are really removed, with all that follows from it."""
