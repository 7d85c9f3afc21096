"""Results of an earlier report compared with ours."""

HEADING = "Comparison with published results"
POSITION = 40
