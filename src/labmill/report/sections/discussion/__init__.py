"""What the results may mean: computed observations and the author's own words."""

HEADING = "Discussion"
POSITION = 200
