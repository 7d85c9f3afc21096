"""Plain sentences about a study: facts of its files, not findings."""

from labmill.report.results import StudyResults

# measure.convention → what an operation is.
COUNTED = {
    "macs": "multiply–adds of convolutions, dense layers and attention; a sum of n "
    "products is n operations",
    "report3": "multiplications and additions of convolutions, dense layers and "
    "attention; a sum of n products is n multiplications and n − 1 additions",
    "report5": "multiplications and additions of products (convolutions, dense layers, "
    "attention), and one operation per activated value: a sum of n products is n "
    "multiplications and n − 1 additions",
    "everything": "every scalar operation: multiplications, additions, biases, "
    "comparisons, and special functions such as exp and division",
}


def counting(results: StudyResults) -> str:
    """Return what an operation is in this report."""
    convention = results.study["measure"]["convention"]
    return f"Operations per {results.thing} are {COUNTED[convention]}." + (
        ""
        if convention == "macs"
        else " Multiply–adds count convolutions, dense layers and attention only."
    )
