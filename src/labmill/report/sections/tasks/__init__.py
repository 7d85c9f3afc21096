"""The assignment's tasks and where the report answers them, for who grades."""

HEADING = "Assignment"
POSITION = 255
