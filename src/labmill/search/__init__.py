"""Search: ranking a grid's points, what was chosen, Pareto fronts, learning curves."""
