"""What stands behind the numbers: tests, machine, code."""

import re
from collections import Counter
from typing import Any

import pandas as pd

from labmill.evaluation.statistics import Verdict
from labmill.report.claims.words import listed, number_of, quoted
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import (
    NBSP,
    decimal,
    format_for,
    missing,
    percent,
    points,
    setting,
)


def environment(results: Results) -> Table | None:
    """Versions, machine and seeds behind the numbers."""
    for record in results.of_kind("variant"):
        if description := results.open(record, "description"):
            made, training = description["provenance"], description["training"]
            machine = made["machine"]
            rows = [
                ["Processor", f"{machine['processor']}, {machine['cores']} cores"],
                ["System", f"{machine['system']}, Python {machine['python']}"],
                ["Device of training", setting(training.get("device"))],
                ["Threads per training", threads(results)],
                *([name, found] for name, found in made["versions"].items()),
                ["Seeds", setting(results.study["seeds"])],
                ["Seed of the split", setting(results.study["data"]["split_seed"])],
                ["Summary's fingerprint", results.summary["provenance"]["fingerprint"]],
            ]
            return Table(["What", "Value"], rows, "Environment of the runs.", "ll")
    return None


def threads(results: Results) -> str:
    """How many threads the trainings had; of which variants, where they differ."""
    found: dict[int, list[str]] = {}
    for variant, label in results.variants.items():
        for record in results.sound(variant):
            if description := results.open(record, "description"):
                labels = found.setdefault(description["training"]["threads"], [])
                labels += [] if label in labels else [label]
    if len(found) < 2:
        return setting(next(iter(found), None))
    return "; ".join(
        f"{number} ({listed(map(quoted, labels), most=len(labels))})"
        for number, labels in sorted(found.items())
    )


def slurm(results: Results) -> Table | None:
    """What SLURM gave the jobs behind the numbers; None where none ran there."""
    counts: Counter[tuple[str, ...]] = Counter()
    keys = ("partition", "cpus", "memory_mb", "gpus", "account", "qos")
    for record in results.records:
        for file, kind in JOBS.items():
            found = results.open(record, file)
            if found and (given := found["provenance"].get("slurm")):
                counts[kind, *(given.get(key, "–") for key in keys)] += 1
    if not counts:
        return None
    return Table(
        ["Jobs", "Partition", "CPUs", "Memory (MB)", "GPUs", "Account", "QOS", "n"],
        [[*given, n] for given, n in counts.items()],
        "What SLURM gave the jobs behind these numbers.",
        "llrrrllr",
    )


# A stage's file → the kind of job that wrote it.
JOBS = {
    "description": "training",
    "metrics": "evaluation",
    "measure": "measurement",
}


def fingerprints(results: Results) -> Table:
    """The jobs behind the numbers."""
    table = results.table
    runs = table[(table["kind"] == "variant") & (table["stage"] == "dense")]
    rows = [
        [row["label"], row["seed"], text(row, "fingerprint"), text(row, "code")]
        for _, row in runs.iterrows()
    ]
    return Table(
        ["Variant", "Seed", "Training job", "Code"],
        rows,
        "Fingerprints of the training jobs: of all they depend on, and of the code.",
        "lrll",
    )


def text(row: pd.Series, column: str) -> str:
    """A cell as text."""
    value = row.get(column)
    return "–" if missing(value) else str(value)


def evidence(results: Results) -> Table | None:
    """The tests behind the claims."""
    rows = [
        [
            claim["statement_number"],
            re.split(r" over | \(", claim["test"])[0],
            number_of(claim["n"], counted(claim["test"])),
            estimate(claim),
            probability(claim["p"]),
            probability(claim["p_adjusted"]),
            claim["verdict"],
        ]
        for claim in results.numbered
        if claim["test"] and claim["verdict"] != Verdict.TOO_FEW
    ]
    if not rows:
        return None
    return Table(
        [
            "Claim",
            "Test",
            "n",
            "Estimate and 95 % interval",
            "p",
            "p corrected",
            "Verdict",
        ],
        rows,
        "The tests behind the claims. The intervals of Tukey's test are corrected over all "
        "pairs of variants, as its p is. All others hold for one comparison alone, and only "
        "their p is corrected (Holm), so that an interval may lie beside 0 and no "
        "difference be shown.",
        "llrrrrl",
    )


def counted(test: str) -> str:
    """What the n of a test counts."""
    return "image" if "images" in test else "seed"


def probability(p: float | None) -> str:
    """A p value to three decimals."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def estimate(claim: dict[str, Any]) -> str:
    """A claim's estimate and interval: points where it is of shares, else its unit."""
    if claim["estimate"] is None:
        return "–"
    shares = all(map(is_share, claim["inputs"]))
    seconds = all(one["field"].endswith("seconds") for one in claim["inputs"])
    write, unit = (points, "points") if shares else (decimal, "s" if seconds else "")
    # Differences of means are sums of rounding errors where they are zero.
    known = [claim["estimate"], *(claim["interval"] or ())]
    ends = [write(round(value, 12)) for value in known]
    text = "{} ({} to {})".format(*ends) if claim["interval"] else ends[0]
    return f"{text}{NBSP}{unit}" if unit else text


def is_share(source: dict[str, str]) -> bool:
    """Whether a claim's input is an accuracy or the like, or predictions."""
    parts = source["field"].split(".")
    shares = any(format_for(part) is percent for part in parts)
    return shares or "class_accuracy" in parts or "test_logits" in parts
