"""An earlier report's figures beside ours."""

from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import format_for, percent, points, title


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
