"""Profile of a training step."""

HEADING = "Where the time goes"
POSITION = 110
