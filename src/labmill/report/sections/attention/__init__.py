"""Attention maps, distances, probes and positions of transformers."""

HEADING = "Attention and positions"
POSITION = 130
