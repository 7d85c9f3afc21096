"""What the kinds of networks do, for readers who meet them for the first time."""

HEADING = "Background"
POSITION = 215
