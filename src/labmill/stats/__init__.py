"""Counter-based randomness, estimates, tests and intervals."""
