"""Prune loops and searches, step by step and point by point."""

from collections import Counter

import numpy as np

from labmill.report.number_format import change, count, percent, short
from labmill.report.results import StudyResults
from labmill.report.sections.pruning.networks import CONTROLS, Network, networks
from labmill.report.table import Table
from labmill.report.text import quoted, spaced

MEANS = ("before", "after_pruning", "finetuned", "parameters", "macs")


def pruning(results: StudyResults, loop: str, variant: str) -> Table:
    """Return accuracies of each step and what is left: means of seeds that made it."""
    made = [step.made for step in results.pruned[loop][variant]]
    seeds = Counter(one.step for one in made)
    rows = []
    for step in sorted(seeds):
        mine = [one for one in made if one.step == step]
        before, after, finetuned, parameters, macs = (
            float(np.mean([getattr(one, name) for one in mine])) for name in MEANS
        )
        rows.append(
            [
                step,
                len(mine) if len(mine) == max(seeds.values()) else f"{len(mine)} †",
                *map(percent, (before, after, finetuned)),
                change(finetuned - before),
                count(parameters),
                short(macs),
                percent(macs / made[0].dense_macs, 0),
            ]
        )
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
            "Of the unpruned net",
        ],
        rows,
        f"Pruning {quoted(results.label(variant))} (loop {spaced(loop)}): validation accuracy, means "
        "over the seeds that made the step."
        + (
            " †: fewer seeds than before, so that its means are of other networks: the "
            "others' loops had ended by their rule."
            if len({*seeds.values()}) > 1
            else ""
        ),
        "r" * 9,
    )


def controls(results: StudyResults) -> Table | None:
    """Return the end of each prune loop, the unpruned network and the loop's controls."""
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
                [
                    f"{results.label(variant)}, {spaced(loop)}",
                    words,
                    *scores(nets),
                ]
                for words, nets in ends.items()
                if nets
            ]
    return Table(
        ["Loop", "Network", "Runs", "Validation", "Test", "Multiply–adds"],
        rows,
        "Pruned networks and their controls: accuracies, means over seeds; the control from "
        "scratch has the widths of its seed's last step and was trained as long.",
        "llrrrr",
    )


def at_step(network: Network) -> int:
    """Return a network's step, 0 for controls."""
    return network.step or 0


def scores(networks: list[Network]) -> list[str]:
    """Return number of runs, mean accuracies and operations that all runs have."""
    tests, macs = ([getattr(n, name) for n in networks] for name in ("test", "macs"))
    return [
        str(len(networks)),
        percent(float(np.mean([n.accuracy for n in networks]))),
        percent(float(np.mean(tests))) if None not in tests else "–",
        short(float(np.mean(macs))) if None not in macs else "–",
    ]
