"""Optional analyses of one trained network per variant."""
