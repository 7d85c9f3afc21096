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


def published_history(results: Results) -> Table | None:
    """What an earlier report printed epoch by epoch, beside ours."""
    theirs = results.study["published"] or {}
    labels = {r["variant"]: r["label"] for r in results.records}
    rows = []
    for name, columns in theirs.get("history", {}).items():
        if name not in labels:
            continue
        ours = results.epochs(name)
        for column, by_epoch in columns.items():
            known = ours.get(column, {})
            write = format_for(column)
            for epoch, value in sorted((int(e), v) for e, v in by_epoch.items()):
                mine = write(float(known[epoch])) if epoch in known else "–"
                cells = [
                    labels.get(name, name),
                    title(column),
                    epoch,
                    write(value),
                    mine,
                ]
                rows.append(cells)
    if not rows or all(row[-1] == "–" for row in rows):
        return None
    notes = (
        f"{labels[n]}: {text}" for n, text in theirs["notes"].items() if n in labels
    )
    return Table(
        ["Network", "Figure", "Epoch", "Published", "Ours"],
        rows,
        f"Published figures by epoch ({theirs['source']}) beside ours, means over seeds; "
        f"–: not run that long here. {' '.join(f'{note}.' for note in notes)}".strip(),
        "llrrr",
    )
