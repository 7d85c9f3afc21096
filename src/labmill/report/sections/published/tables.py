"""Tables of an earlier report's results and ours."""

from labmill.report.answer import difference
from labmill.report.number_format import SPACE, change, format_of, percent, signed
from labmill.report.results import StudyResults
from labmill.report.sections.architecture_edits.tables import whole
from labmill.report.table import Table
from labmill.report.text import listed, quoted
from labmill.study.metrics import metric


def published_edits(results: StudyResults) -> Table | None:
    """Return changes in time and accuracy by published edits, there and here."""
    theirs = results.study["published"] or {"edits": {}}
    claims = {claim["id"]: claim for claim in results.statements}
    rows = []
    for edited, before in theirs["edits"].items():
        ours = claims.get(f"published:{edited}:edit")
        if ours is None:
            continue
        after, unedited = (theirs["variants"][name] for name in (edited, before))
        time = after["train_seconds"] / unedited["train_seconds"] - 1
        accuracy = after["test_accuracy"] - unedited["test_accuracy"]
        rows.append(
            [
                f"{results.label(before)} → {results.label(edited)}",
                f"{100 * time:+.1f}{SPACE}%".replace("-", "−"),
                taken(results, before, edited),
                signed(accuracy, "%", 2),
                difference(ours, "%", 1),
            ]
        )
    if not rows:
        return None
    return Table(
        [
            "Edit",
            "Time, published",
            "Time, ours",
            "Accuracy, published",
            "Accuracy, ours",
        ],
        rows,
        f"Published edits ({theirs['source']}) and ours: changes by the edit, with 95 % "
        "intervals. Time: of the training there, of a training step here, both networks "
        "in turns; –: not timed in turns here. Accuracy: on test images, ours paired by "
        "seeds.",
        "lrrrr",
    )


def taken(results: StudyResults, before: str, edited: str) -> str:
    """Return how an edit changed a step's time, timed in turns."""
    found = results.rankings.get(before)
    ranking = found.edits.ranking if found else []
    timed = next((edit.measured for edit in ranking if edit.variant == edited), None)
    if timed is None:
        return "–"
    ends = f"{whole(-timed.high)} to {whole(-timed.low)}"
    return f"{whole(-timed.saving)}{SPACE}% ({ends})"


def published(results: StudyResults) -> Table | None:
    """Return an earlier report's metrics and ours."""
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
            rows.append(compared(results, variant, column, value))
    if not rows:
        return None
    # At a reduced scale the task is another one: a difference would say nothing.
    width = 5 if results.scale == "full" else 4
    return Table(
        ["Variant", "Metric", "Published", "Ours", "Difference"][:width],
        [row[:width] for row in rows],
        f"Published metrics and ours, means over seeds. Source: {theirs['source']}.",
        "llrrr"[:width],
    )


def compared(
    results: StudyResults, variant: str, column: str, value: float
) -> list[str]:
    """Return one published metric and ours."""
    ours = results.mean(variant, column)
    write = format_of(column)
    difference = "–"
    if ours and write is percent:
        difference = f"{change(ours.estimate - value)} points"
    elif ours and value:
        difference = f"{ours.estimate / value:.3g}×"
    return [
        results.label(variant),
        metric(column).title,
        write(value),
        write(ours.estimate) if ours else "–",
        difference,
    ]


def notes(results: StudyResults) -> dict[str, str]:
    """Return differences between published runs and ours → labels of the networks."""
    labels = {run.variant: run.label for run in results.rows}
    said: dict[str, list[str]] = {}
    for name, text in (results.study["published"] or {}).get("notes", {}).items():
        if name in labels:
            said.setdefault(text, []).append(quoted(labels[name]))
    return {text: listed(labels) for text, labels in said.items()}


def published_classes(results: StudyResults) -> Table | None:
    """Return published class-wise accuracies and ours."""
    theirs = (results.study["published"] or {"variants": {}})["variants"]
    given = {
        variant: figures["class_accuracy"]
        for variant, figures in theirs.items()
        if variant in results.variants and figures.get("class_accuracy")
    }
    known = {name for classes in given.values() for name in classes}
    rows = [
        [name, *(pair(results, variant, name, given[variant]) for variant in given)]
        for name in results.classes
        if name in known
    ]
    if not rows:
        return None
    return Table(
        ["Class", *(results.label(variant) for variant in given)],
        rows,
        "Test accuracy by class (%): published / ours.",
    )


def pair(
    results: StudyResults, variant: str, name: str, published: dict[str, float]
) -> str:
    """Return a class's published accuracy and ours."""
    ours = results.mean(variant, f"class_accuracy.{name}")
    both = (published.get(name), ours.estimate if ours else None)
    return " / ".join(percent(value).removesuffix(f"{SPACE}%") for value in both)


def published_history(results: StudyResults) -> Table | None:
    """Return an earlier report's metrics epoch by epoch, and ours."""
    rows = []
    for label, column, figure, theirs, ours in results.published_epochs():
        write = format_of(column)
        for epoch, value in theirs.items():
            mine = write(ours[epoch]) if epoch in ours else "–"
            rows.append([label, figure, epoch, write(value), mine])
    if not rows:
        return None
    return Table(
        ["Network", "Metric", "Epoch", "Published", "Ours"],
        rows,
        f"Published metrics by epoch ({results.study['published']['source']}) and ours, "
        "means over seeds; –: not run that long here.",
        "llrrr",
    )
