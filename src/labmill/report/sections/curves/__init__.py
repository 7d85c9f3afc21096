"""Loss and accuracy over the epochs."""

HEADING = "Training"
POSITION = 60
