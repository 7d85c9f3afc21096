"""The author's conclusion."""

HEADING = "Conclusion"
POSITION = 210
