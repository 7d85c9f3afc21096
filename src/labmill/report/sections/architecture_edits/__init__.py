"""Search for small edits of a network that save time."""

HEADING = "Architecture edits"
POSITION = 100
