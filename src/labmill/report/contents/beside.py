"""An earlier report's figures beside ours."""

from labmill.report.claims.words import listed, quoted
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import NBSP, format_for, percent, points, title


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
            rows.append(beside(results, variant, column, value))
    if not rows:
        return None
    return Table(
        ["Variant", "Figure", "Published", "Ours", "Difference"],
        rows,
        f"Published figures ({theirs['source']}) beside ours, means over seeds.",
        "llrrr",
    )


def beside(results: Results, variant: str, column: str, value: float) -> list[str]:
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
    ]


def notes(results: Results) -> dict[str, str]:
    """What differs between a published run and ours → the labels of which it is said."""
    labels = {record["variant"]: record["label"] for record in results.records}
    said: dict[str, list[str]] = {}
    for name, text in (results.study["published"] or {}).get("notes", {}).items():
        if name in labels:
            said.setdefault(text, []).append(quoted(labels[name]))
    return {text: listed(labels) for text, labels in said.items()}


def published_classes(results: Results) -> Table | None:
    """Published class-wise accuracies and ours."""
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


def pair(results: Results, variant: str, name: str, published: dict[str, float]) -> str:
    """A class's published accuracy and ours."""
    ours = results.mean(variant, f"class_accuracy.{name}")
    both = (published.get(name), ours.estimate if ours else None)
    return " / ".join(percent(value).removesuffix(f"{NBSP}%") for value in both)


def published_history(results: Results) -> Table | None:
    """What an earlier report printed epoch by epoch, beside ours."""
    rows = []
    for label, column, figure, theirs, ours in results.published_epochs():
        write = format_for(column)
        for epoch, value in theirs.items():
            mine = write(ours[epoch]) if epoch in ours else "–"
            rows.append([label, figure, epoch, write(value), mine])
    if not rows:
        return None
    return Table(
        ["Network", "Figure", "Epoch", "Published", "Ours"],
        rows,
        f"Published figures by epoch ({results.study['published']['source']}) beside "
        "ours, means over seeds; –: not run that long here.",
        "llrrr",
    )
