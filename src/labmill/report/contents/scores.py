"""Scores: every variant, class, seed and lost run, and what they cost."""

from labmill.evaluation.statistics import Mean
from labmill.report.read import UNUSABLE
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import format_for, missing, percent, title

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
    caption = (
        "Effort and size by variant: means over seeds. Times are of jobs of their own, with "
        "other work beside them: small differences may be that."
    )
    return Table(["Variant", *map(title, columns)], rows, caption) if columns else None


def with_interval(mean: Mean | None) -> tuple[str, str]:
    """A mean accuracy, and its interval in percent."""
    if mean is None:
        return "–", "–"
    if mean.low is None or mean.high is None:
        return percent(mean.estimate), "–"
    return percent(mean.estimate), f"{100 * mean.low:.1f} to {100 * mean.high:.1f}"


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
        "How often the sealed test set was opened for the networks as trained; a network "
        "tested again counts once.",
    )


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
        "Test accuracy by class: share of a class's "
        f"{results.things} that are recognised.",
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
    lost = table[table["status"].isin(UNUSABLE) & (table["kind"] != "point")]
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
