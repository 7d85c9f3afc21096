"""How good a model is (`metrics`), and what that shows (`statistics`)."""
