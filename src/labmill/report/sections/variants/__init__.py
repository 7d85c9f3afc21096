"""Settings of the variants: what they share and where they differ."""

HEADING = "Variants"
POSITION = 240
