"""Read a study's results from Python: `labmill.open("results/quickstart")`."""
