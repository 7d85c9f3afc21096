"""Accuracy by class, and which classes are confused."""

HEADING = "Classes and errors"
POSITION = 50
