"""Prune loops and searches, step by step and point by point."""

import numpy as np
import pandas as pd

from labmill.report.read import made_by_all
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import count, duration, percent, points, setting, short


def pruning(results: Results, loop: str, variant: str) -> Table:
    """The triple of each step that all seeds made, and what is left: their means."""
    steps = pd.DataFrame(results.pruned[loop][variant])
    kept = made_by_all({step: rows for step, rows in steps.groupby("step")})
    steps = steps[steps["step"].isin(kept)]
    numbers = ["before", "after_pruning", "finetuned", "parameters", "macs"]
    means = steps.groupby("step")[numbers].mean()
    dense = steps["dense_macs"].iloc[0] if "dense_macs" in steps else np.nan
    rows = [
        [
            step,
            *(percent(row[name]) for name in numbers[:3]),
            points(row["finetuned"] - row["before"]),
            count(row["parameters"]),
            short(row["macs"]),
            percent(row["macs"] / dense, 0),
        ]
        for step, row in means.iterrows()
    ]
    return Table(
        [
            "Step",
            "Before",
            "After pruning",
            "Fine-tuned",
            "Change (points)",
            "Parameters",
            "Multiply–adds",
            "of the dense net",
        ],
        rows,
        f"Pruning {results.label(variant)} ({loop}): validation accuracy, means over seeds.",
        "r" * 8,
    )


def ranking(results: Results, search: str, by: str, top: int = 10) -> Table:
    """The first points of a search, by validation accuracy or by cost."""
    chosen = results.searches[search]
    points_ = [p for p in chosen["ranking"] if p["validation_accuracy"] is not None]
    cost = chosen["rule"]["cost"]
    if by == "accuracy":
        points_ = sorted(points_, key=lambda p: -p["validation_accuracy"])
    elif by == "cost":
        points_ = sorted(points_, key=lambda p: p[cost])
    keys = list(points_[0]["settings"]) if points_ else []
    rows = [
        [
            place,
            *(setting(point["settings"][key]) for key in keys),
            percent(point["validation_accuracy"]),
            duration(point["seconds"]),
            short(point["operations"]),
            count(point["parameters"]),
        ]
        for place, point in enumerate(points_[:top], 1)
    ]
    words = {"accuracy": "validation accuracy", "cost": f"cost ({cost})"}
    return Table(
        [
            "Rank",
            *(key.split(".", 1)[1].replace("_", " ") for key in keys),
            "Validation accuracy",
            "Training time",
            "Training operations",
            "Parameters",
        ],
        rows,
        f"Search {search}: the first {len(rows)} of {len(chosen['ranking'])} points "
        f"by {words[by]}.",
        "r" * (len(keys) + 5),
    )
