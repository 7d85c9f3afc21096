"""Tables of every class, seed, epoch, layer and setting."""

HEADING = "Appendix"
POSITION = 270
