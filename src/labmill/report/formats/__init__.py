"""Formats to hand in: Word and LaTeX, from the same Markdown as page and PDF."""
