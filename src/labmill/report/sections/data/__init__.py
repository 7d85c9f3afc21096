"""The dataset, its split, its augmentation."""

HEADING = "Data"
POSITION = 230
