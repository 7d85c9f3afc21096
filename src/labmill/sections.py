"""The sections of a report. Pure Python: a study is checked against them."""

# Every section that labmill writes, in the usual order, and its heading.
SECTIONS = {
    "summary": "Summary",
    "question": "Question",
    "data": "Data",
    "variants": "Variants and hyperparameters",
    "method": "Method and commands",
    "results": "Results",
    "curves": "Training curves",
    "classes": "Class by class",
    "comparisons": "Comparisons",
    "cost": "Cost",
    "profile": "Where the time goes",
    "edits": "The smallest change",
    "arithmetic": "Arithmetic",
    "pruning": "Pruning",
    "search": "Search",
    "predictions": "Predictions",
    "published": "Published figures and ours",
    "figures": "Further figures",
    "observations": "Observations",
    "limits": "Limits",
    "references": "References",
    "appendix": "Appendix",
}
