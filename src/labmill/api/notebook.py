"""A notebook that opens a study's results."""

import json
from pathlib import Path

CELLS = (
    (
        "markdown",
        "# {title}\n\nWritten by `labmill notebook {folder}`; edit it freely.",
    ),
    (
        "code",
        'import labmill\n\nresults = labmill.open("{folder}")\nresults.runs.head()',
    ),
    ("markdown", "## Accuracy of each variant (0..1, mean and deviation over seeds)"),
    (
        "code",
        'trained = results.runs[results.runs["stage"] == "dense"]\n'
        'trained.groupby("label")["test_accuracy"].agg(["mean", "std", "count"])',
    ),
    ("markdown", "## Training curves of one run"),
    (
        "code",
        'history = results.history("{variant}", seed={seed})\n'
        'history.plot(x="epoch", y=["train_accuracy", "validation_accuracy"])',
    ),
    ("markdown", "## The errors that it was most sure of"),
    (
        "code",
        'said = results.predictions("{variant}", seed={seed})\n'
        'wrong = said[said["label"] != said["prediction"]]\n'
        'wrong.sort_values("probability", ascending=False).head(10)',
    ),
    ("markdown", "## The network itself"),
    (
        "code",
        'model = results.load_model("{variant}", seed={seed})\nmodel.network',
    ),
    ("markdown", "## Statements of the report"),
    ("code", '[claim["statement"] for claim in results.claims][:5]'),
)


def notebook(folder: str | Path) -> str:
    """Return a notebook (nbformat 4) that opens these results."""
    from labmill.api.results import StudyResults

    results = StudyResults(folder)
    first = results.runs[results.runs["kind"] == "variant"].iloc[0]
    values = {
        "title": results.index["provenance"]["settings"]["study"]["title"],
        "folder": Path(folder).as_posix(),
        "variant": first["variant"],
        "seed": int(first["seed"]),
    }
    cells = []
    for number, (kind, text) in enumerate(CELLS):
        for key, value in values.items():
            text = text.replace("{" + key + "}", str(value))
        cell: dict[str, object] = {
            "cell_type": kind,
            "id": f"cell{number}",
            "metadata": {},
            "source": text.splitlines(keepends=True),
        }
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
