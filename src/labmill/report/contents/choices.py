"""Prune loops and searches, step by step and point by point."""

from typing import Any

import numpy as np
import pandas as pd

from labmill.report.claims.words import quoted
from labmill.report.pruned import CONTROLS, Network, networks
from labmill.report.results import Results
from labmill.report.searched import points_of, ranks
from labmill.report.tables import Table
from labmill.report.text import count, duration, percent, points, setting, short

# Points of a search that its table shows by each rank.
TOP = 5


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


def ranking(results: Results, search: str) -> Table:
    """A search's first points by accuracy, time and operations, and the published ones."""
    found = points_of(results.searches[search])
    places = ranks(found)
    theirs = published_points(results, search)
    first = {i for rank in places.values() for i, n in enumerate(rank) if n <= TOP}
    known = [written(point["settings"]) for point in found]
    shown = first | {0} | {i for i, own in enumerate(known) if own in theirs.values()}
    keys = list(known[0])
    targets = any("reached" in p and p["reached"] is not None for p in found)
    rows = [
        [
            ", ".join(str(rank[i]) for rank in places.values()),
            *known[i].values(),
            percent(found[i]["validation_accuracy"]),
            duration(found[i]["seconds"]),
            short(found[i]["operations"]),
            *([setting(found[i]["reached"])] if targets else []),
            *([told(theirs, known[i])] if theirs else []),
        ]
        for i in sorted(shown, key=lambda i: places["validation_accuracy"][i])
    ]
    rows += [
        ["–", *own.values(), "–", "–", "–", *(["–"] if targets else []), text]
        for text, own in theirs.items()
        if own not in known
    ]
    columns = [
        "Ranks",
        *(key.split(".", 1)[1].replace("_", " ") for key in keys),
        "Validation accuracy",
        "Training time",
        "Training operations",
        *(["Target reached"] if targets else []),
        *(["Published: test accuracy, time"] if theirs else []),
    ]
    caption = (
        f"Search {search}: of {len(results.searches[search]['ranking'])} points the first "
        f"{TOP} by validation accuracy, by training time and by training operations; the "
        "ranks are in that order. Seconds contain what else ran on the machine."
    )
    return Table(columns, rows, caption, "r" * len(columns))


def written(settings: dict[str, Any]) -> dict[str, str]:
    """Settings as text, in the order of their names."""
    return {key: setting(settings[key]) for key in sorted(settings)}


def published_points(results: Results, search: str) -> dict[str, dict[str, str]]:
    """What an earlier report said of its points → their settings."""
    points = (results.study["published"] or {"searches": {}})["searches"].get(
        search, ()
    )
    return {
        f"{percent(p['accuracy'], 2)}, {duration(p['seconds'])}": written(p["settings"])
        for p in points
    }


def told(theirs: dict[str, dict[str, str]], own: dict[str, str]) -> str:
    """What was published of these settings."""
    return next((text for text, settings in theirs.items() if settings == own), "–")
