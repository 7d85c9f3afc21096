"""How the study ran, what a scale reduced, commands that repeat it."""

HEADING = "Method"
POSITION = 220
