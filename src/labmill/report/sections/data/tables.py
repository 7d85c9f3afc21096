"""Tables of the split."""

from labmill.report.number_format import count
from labmill.report.results import StudyResults
from labmill.report.table import Table


def balance(results: StudyResults) -> Table:
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
        f"{results.things.capitalize()} per class in each part of the split.",
    )


def by_class(results: StudyResults, part: str) -> list[int]:
    """Images per class of one part, in the classes' order."""
    counts = results.facts["counts"][part]
    return (
        [counts[name] for name in results.classes]
        if isinstance(counts, dict)
        else list(counts)
    )
