"""What the results cannot show."""

HEADING = "Limits"
POSITION = 250
