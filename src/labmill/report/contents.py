"""The report's tables, from the files; none computes what `summarize` has computed."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from labmill.evaluation.statistics import Mean
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import (
    count,
    decimal,
    duration,
    format_for,
    missing,
    percent,
    points,
    setting,
    short,
    title,
)

SCORES = ("test_macro_f1", "validation_accuracy", "train_accuracy")
EFFORT = (
    "epochs",
    "train_seconds",
    "train_operations",
    "parameters",
    "macs",
    "latency_ms_b1",
)


def results(results: Results) -> Table | None:
    """Every variant's scores: mean over seeds, interval, number of seeds."""
    columns = [c for c in SCORES if filled(results, c)]
    rows = []
    for variant, label in results.variants.items():
        mean = results.mean(variant, "test_accuracy")
        others = [results.mean(variant, column) for column in columns]
        scores = [percent(other.estimate) if other else "–" for other in others]
        rows.append([label, *with_interval(mean), mean.n if mean else 0, *scores])
    head = ["Variant", "Test accuracy", "95 % interval", "Seeds", *map(title, columns)]
    return Table(head, rows, "Accuracy by variant: means over seeds.")


def effort(results: Results) -> Table | None:
    """What every variant cost: means over seeds."""
    columns = [c for c in EFFORT if filled(results, c)]
    rows = [
        [
            label,
            *(
                format_for(column)(mean.estimate)
                if (mean := results.mean(variant, column))
                else "–"
                for column in columns
            ),
        ]
        for variant, label in results.variants.items()
    ]
    caption = "Effort and size by variant: means over seeds."
    return Table(["Variant", *map(title, columns)], rows, caption) if columns else None


def with_interval(mean: Mean | None) -> tuple[str, str]:
    """A mean accuracy, and its interval in percent."""
    if mean is None:
        return "–", "–"
    if mean.low is None or mean.high is None:
        return percent(mean.estimate), "–"
    low, high = max(0.0, mean.low), min(1.0, mean.high)
    return percent(mean.estimate), f"{100 * low:.1f} to {100 * high:.1f}"


def filled(results: Results, column: str) -> bool:
    """Whether any variant has that figure."""
    return any(results.values(variant, column) for variant in results.variants)


def openings(results: Results) -> Table | None:
    """How often each variant's test images were looked at."""
    rows = [
        [label, len(values), f"{sum(values):.0f}"]
        for variant, label in results.variants.items()
        if (values := results.values(variant, "test_openings"))
    ]
    if not rows:
        return None
    return Table(
        ["Variant", "Runs", "Test set opened"],
        rows,
        "How often the sealed test set was opened for the networks as trained.",
    )


def balance(results: Results) -> Table:
    """Images per class and part of the split."""
    counts = {
        part: dict(zip(results.classes, by_class(results, part), strict=True))
        for part in results.facts["counts"]
    }
    parts = [part for part, by in counts.items() if sum(by.values())]
    rows = [
        [name, *(count(counts[part][name]) for part in parts)]
        for name in results.classes
    ]
    rows.append(["all classes", *(count(sum(counts[p].values())) for p in parts)])
    return Table(
        ["Class", *(part.capitalize() for part in parts)],
        rows,
        "Images per class in each part of the split.",
    )


def by_class(results: Results, part: str) -> list[int]:
    """Images per class of one part, in the classes' order."""
    counts = results.facts["counts"][part]
    return (
        [counts[name] for name in results.classes]
        if isinstance(counts, dict)
        else list(counts)
    )


def settings_of(results: Results) -> dict[str, dict[str, Any]]:
    """Variant → dotted setting → value, as its first run recorded them."""
    found = {}
    for variant, label in results.variants.items():
        for record in results.stages(variant):
            description = results.open(record, "description")
            if description:
                recipe = description["provenance"]["settings"].get("training", {})
                found[label] = {
                    "model": description["name"],
                    **flat("", description["arguments"]),
                    **flat("", recipe),
                }
                break
    return found


def flat(prefix: str, value: Any) -> dict[str, Any]:
    """Nested mappings as dotted keys."""
    if isinstance(value, dict) and value:
        return {
            key: leaf
            for name, inner in value.items()
            for key, leaf in flat(f"{prefix}.{name}" if prefix else name, inner).items()
        }
    return {prefix: value}


def differing(by_variant: dict[str, dict[str, Any]]) -> list[str]:
    """The settings that are not the same for all."""
    keys = dict.fromkeys(key for known in by_variant.values() for key in known)
    return [
        key
        for key in keys
        if len({setting(known.get(key)) for known in by_variant.values()}) > 1
    ]


def variants(results: Results) -> Table | None:
    """What differs between the variants."""
    by_variant = settings_of(results)
    keys = differing(by_variant)
    if not keys:
        return None
    rows = [
        [label, *(setting(known.get(key)) for key in keys)]
        for label, known in by_variant.items()
    ]
    return Table(
        ["Variant", *(key.replace("_", " ") for key in keys)],
        rows,
        "What differs between the variants; a dash: the network has no such setting.",
        "l" * (len(keys) + 1),
    )


# Facts of the data, not settings.
GIVEN = ("num_classes", "in_channels", "image_size")


def hyperparameters(results: Results) -> Table | None:
    """What all variants share, without what is switched off."""
    shared = shared_settings(results)
    rows = [
        [key, setting(v)] for key, v in shared.items() if v not in (None, False, 0, [])
    ]
    caption = (
        "Settings that all variants share; those switched off are in the appendix."
    )
    return Table(["Setting", "Value"], rows, caption, "ll")


def settings(results: Results) -> Table | None:
    """Every setting that all variants share."""
    rows = [[key, setting(value)] for key, value in shared_settings(results).items()]
    return Table(["Setting", "Value"], rows, "All settings that variants share.", "ll")


def shared_settings(results: Results) -> dict[str, Any]:
    """Setting in words → value, the same for all variants."""
    by_variant = settings_of(results)
    varied = {*differing(by_variant), *GIVEN}
    first = next(iter(by_variant.values()), {})
    return {k.replace("_", " "): v for k, v in first.items() if k not in varied}


def classes(results: Results, figure: str = "class_accuracy") -> Table | None:
    """Test accuracy by class: means over seeds."""
    rows = [
        [
            name,
            *(
                format_for("accuracy")(m.estimate)
                if (m := results.mean(variant, f"{figure}.{name}"))
                else "–"
                for variant in results.variants
            ),
        ]
        for name in results.classes
    ]
    return Table(
        ["Class", *results.variants.values()],
        rows,
        "Test accuracy by class: share of a class's images that are recognised.",
    )


def seeds(results: Results) -> Table:
    """Every run of its own."""
    table = results.table
    runs = table[(table["kind"] == "variant") & (table["stage"] == "dense")]
    known = ("test_accuracy", *SCORES, "train_seconds")
    columns = [c for c in known if c in runs and runs[c].notna().any()]
    rows = [
        [
            row["label"],
            row["seed"],
            row["status"].replace("_", " "),
            *(format_for(c)(row[c]) for c in columns),
        ]
        for _, row in runs.iterrows()
    ]
    return Table(
        ["Variant", "Seed", "Training", *map(title, columns)],
        rows,
        "Every run.",
        "lrl" + "r" * len(columns),
    )


def failures(results: Results) -> Table | None:
    """Runs that diverged or left no files, with the reason."""
    table = results.table
    lost = table[
        table["status"].isin(["failed", "diverged"]) & (table["kind"] != "point")
    ]
    if lost.empty:
        return None
    rows = [
        [
            row["label"],
            row["seed"],
            row["stage"],
            row["status"],
            "–" if missing(row["reason"]) else str(row["reason"])[:120],
        ]
        for _, row in lost.iterrows()
    ]
    return Table(
        ["Variant", "Seed", "Stage", "State", "Reason"],
        rows,
        "Runs without a usable result; no mean contains them.",
        "lrlll",
    )


def pruning(results: Results, loop: str, variant: str) -> Table:
    """The triple of each step, and what is left: means over seeds."""
    steps = pd.DataFrame(results.pruned[loop][variant])
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


def published(results: Results) -> Table | None:
    """An earlier report's figures beside ours."""
    theirs = results.study["published"]
    if not theirs:
        return None
    rows = []
    for variant, figures in theirs["variants"].items():
        if variant not in results.variants:
            continue
        for column, value in figures.items():
            if isinstance(value, dict):
                continue
            rows.append(beside(results, variant, column, value, theirs["notes"]))
    if not rows:
        return None
    return Table(
        ["Variant", "Figure", "Published", "Ours", "Difference", "What differs"],
        rows,
        f"Published figures ({theirs['source']}) beside ours, means over seeds.",
        "llrrrl",
    )


def beside(
    results: Results, variant: str, column: str, value: float, notes: dict[str, str]
) -> list[str]:
    """One published figure beside ours."""
    ours = results.mean(variant, column)
    write = format_for(column)
    difference = "–"
    if ours and write is percent:
        difference = f"{points(ours.estimate - value)} points"
    elif ours and value:
        difference = f"{ours.estimate / value:.3g}×"
    return [
        results.label(variant),
        title(column),
        write(value),
        write(ours.estimate) if ours else "–",
        difference,
        notes.get(variant, ""),
    ]


def published_classes(results: Results) -> Table | None:
    """Published class-wise accuracies beside ours."""
    theirs = results.study["published"] or {"variants": {}}
    rows = [
        [
            results.label(variant),
            name,
            percent(value),
            percent(ours.estimate) if ours else "–",
            points(ours.estimate - value) if ours else "–",
        ]
        for variant, figures in theirs["variants"].items()
        if variant in results.variants
        for name, value in figures.get("class_accuracy", {}).items()
        for ours in [results.mean(variant, f"class_accuracy.{name}")]
    ]
    if not rows:
        return None
    return Table(
        ["Variant", "Class", "Published", "Ours", "Difference (points)"],
        rows,
        "Published class-wise test accuracy beside ours.",
        "llrrr",
    )


def latency(results: Results) -> Table | None:
    """Parameters, operations, memory and latency of the networks."""
    rows, batches = [], []
    for variant, label in results.variants.items():
        for record in results.stages(variant):
            if measured := results.open(record, "measure"):
                batches = [t["batch"] for t in measured["latency"]]
                rows.append(
                    [
                        label,
                        count(measured["parameters"]),
                        short(measured["macs"]),
                        *(
                            f"{t['median_ms']:.3g} ({t['q1_ms']:.3g} to {t['q3_ms']:.3g})"
                            for t in measured["latency"]
                        ),
                    ]
                )
                break
    if not rows:
        return None
    return Table(
        [
            "Variant",
            "Parameters",
            "Multiply–adds",
            *(f"Latency, batch {batch} (ms)" for batch in batches),
        ],
        rows,
        "Cost of the networks: median latency and its quartiles.",
    )


def operations(results: Results) -> Iterable[Table]:
    """Operations layer by layer, where the study asks for them."""
    if not results.study["measure"]["count_table"]:
        return
    for variant, label in results.variants.items():
        for record in results.stages(variant):
            if measured := results.open(record, "measure"):
                layers = measured["operations"]["layers"]
                known = list(dict.fromkeys(key for layer in layers for key in layer))
                keys = [k for k in known if k not in ("name", "kind")]
                keys = [k for k in keys if all(is_number(y.get(k)) for y in layers)]
                rows = [
                    [y["name"], y["kind"], *(count(y[key]) for key in keys)]
                    for y in [*layers]
                ]
                total = measured["operations"]["total"]
                rows.append(
                    [
                        "total",
                        "",
                        *(count(total[k]) if k in total else "–" for k in keys),
                    ]
                )
                yield Table(
                    ["Layer", "Kind", *(key.replace("_", " ") for key in keys)],
                    rows,
                    f"Operations of {label}, layer by layer, for one image.",
                    "ll" + "r" * len(keys),
                )
                break


def is_number(value: Any) -> bool:
    """Whether it can be counted."""
    return isinstance(value, int | float) and not isinstance(value, bool)


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
                ["Threads per job", setting(training.get("threads"))],
                *([name, found] for name, found in made["versions"].items()),
                ["Seeds", setting(results.study["seeds"])],
                ["Seed of the split", setting(results.study["data"]["split_seed"])],
                ["Summary's fingerprint", results.summary["provenance"]["fingerprint"]],
            ]
            return Table(["What", "Value"], rows, "Environment of the runs.", "ll")
    return None


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
            claim["test"].partition(" over ")[0],
            f"{claim['n']} {'images' if 'images' in claim['test'] else 'seeds'}",
            estimate(claim),
            probability(claim["p"]),
            probability(claim["p_holm"]),
            claim["verdict"],
        ]
        for claim in results.numbered
        if claim["test"]
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
            "p (Holm)",
            "Verdict",
        ],
        rows,
        "The tests behind the claims.",
        "llrrrrl",
    )


def probability(p: float | None) -> str:
    """A p value to three decimals."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def estimate(claim: dict[str, Any]) -> str:
    """A claim's estimate and interval, in its own unit."""
    if claim["estimate"] is None:
        return "–"
    if not claim["interval"]:
        return decimal(claim["estimate"])
    # Differences of means are sums of rounding errors where they are zero.
    ends = [decimal(round(x, 12)) for x in (claim["estimate"], *claim["interval"])]
    return "{} ({} to {})".format(*ends)
