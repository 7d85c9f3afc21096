"""Features, pretext tasks and mixing weights."""

HEADING = "Learned features"
POSITION = 140
