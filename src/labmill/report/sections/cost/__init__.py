"""Parameters, operations, time and memory of the networks."""

HEADING = "Cost"
POSITION = 70
