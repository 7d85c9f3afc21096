"""The bibliography."""

HEADING = "References"
POSITION = 260
