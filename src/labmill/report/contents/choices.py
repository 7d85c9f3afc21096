"""Prune loops and searches, step by step and point by point."""

import numpy as np
import pandas as pd

from labmill.report.claims.words import quoted
from labmill.report.pruned import CONTROLS, Network, networks
from labmill.report.results import Results
from labmill.report.searched import FEW, points_of
from labmill.report.tables import Table
from labmill.report.text import count, duration, percent, points, setting, short


def pruning(results: Results, loop: str, variant: str) -> Table:
    """The triple of each step and what is left: means of the seeds that made it."""
    steps = pd.DataFrame(results.pruned[loop][variant])
    numbers = ["before", "after_pruning", "finetuned", "parameters", "macs"]
    means, seeds = steps.groupby("step")[numbers].mean(), steps.groupby("step").size()
    dense = steps["dense_macs"].iloc[0]
    rows = [
        [
            step,
            seeds[step],
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
            "Seeds",
            "Before",
            "After pruning",
            "Fine-tuned",
            "Change (points)",
            "Parameters",
            "Multiply–adds",
            "of the dense net",
        ],
        rows,
        f"Pruning {quoted(results.label(variant))} ({loop}): validation accuracy, means "
        "over the seeds that made the step; a seed's loop ends where its rule says.",
        "r" * 9,
    )


def controls(results: Results) -> Table | None:
    """The end of each prune loop beside the dense net and the loop's controls."""
    rows = []
    found = networks(results)
    for loop, variant in dict.fromkeys((n.loop, n.variant) for n in found):
        mine = [n for n in found if (n.loop, n.variant) == (loop, variant)]
        ends: dict[str, list[Network]] = {"dense": [n for n in mine if n.step == 0]}
        for seed in dict.fromkeys(n.seed for n in mine if n.step):
            last = max((n for n in mine if n.step and n.seed == seed), key=at_step)
            ends.setdefault("pruned to the end", []).append(last)
        for control, words in CONTROLS.items():
            ends[words] = [n for n in mine if n.control == control]
        if any(n.control for n in mine):
            rows += [
                [f"{results.label(variant)}, {loop}", words, *scores(nets)]
                for words, nets in ends.items()
                if nets
            ]
    return Table(
        ["Loop", "Network", "Runs", "Validation", "Test", "Multiply–adds"],
        rows,
        "What pruning is held against: accuracies, means over seeds; the control from "
        "scratch has the widths of its seed's last step, and was trained as long.",
        "llrrrr",
    )


def at_step(network: Network) -> int:
    """For the last one."""
    return network.step or 0


def scores(networks: list[Network]) -> list[str]:
    """Number of runs, mean accuracies and operations; none that one of them lacks."""
    tests, macs = ([getattr(n, name) for n in networks] for name in ("test", "macs"))
    return [
        str(len(networks)),
        percent(float(np.mean([n.accuracy for n in networks]))),
        percent(float(np.mean(tests))) if None not in tests else "–",
        short(float(np.mean(macs))) if None not in macs else "–",
    ]


def formulations(results: Results) -> Table | None:
    """Times of a pass with the library's layers and with matrix products."""
    rows = []
    for variant in (results.study.get("formulate") or {}).get("variants", ()):
        for record in results.stages(variant)[:1]:
            about = results.open(record, "formulate")
            for name in about["inference"] if about else ():
                times = [
                    f"{t['median_s']:.3g} ({t['q1_s']:.3g} to {t['q3_s']:.3g})"
                    for t in (about["inference"][name], about["training"][name])
                ]
                difference = about["largest_difference"][name]
                label = results.label(variant)
                rows.append([label, name, *times, f"{difference:.1g}"])
    return Table(
        [
            "Variant",
            "Formulation",
            "Inference (s)",
            "Training (s)",
            "Largest difference of logits",
        ],
        rows,
        "Layers as matrix products: seconds for one pass over all images (median and "
        "quartiles), and how far the logits are from the library's.",
        "llrrr",
    )


def ranking(results: Results, search: str, by: str, top: int = 10) -> Table | None:
    """The first points of a search, by `validation_accuracy`, `seconds` or `operations`.

    None where the table by accuracy already tells them all.
    """
    chosen = results.searches[search]
    if by != "validation_accuracy" and len(chosen["ranking"]) <= FEW:
        return None
    sign = -1 if by == "validation_accuracy" else 1
    points_ = sorted(
        points_of(chosen),
        key=lambda p: sign * p[by],
    )
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
    words = {"seconds": "training time", "operations": "training operations"}
    n, known = len(rows), len(chosen["ranking"])
    which = f"the first {n} of {known}" if n < known else f"all {n}"
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
        f"Search {search}: {which} points by {words.get(by, 'validation accuracy')}.",
        "r" * (len(keys) + 5),
    )
