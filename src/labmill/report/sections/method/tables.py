"""What a scale reduced."""

from labmill.core.trees import Difference
from labmill.report.number_format import DASH, duration
from labmill.report.results import StudyResults
from labmill.report.sections.variants.tables import words
from labmill.report.table import Table
from labmill.report.text import setting

# Parts of a setting's key that locate it in the file and do not name it.
PLACES = ("arguments", "defaults", "training")
# Settings of size → their words in a sentence.
SIZES = {
    "data limit": "training and validation images",
    "data test limit": "test images",
    "epochs": "epochs",
    "seeds": "seeds",
    "variants that are run": "variants",
}


def reduced(results: StudyResults) -> Table | None:
    """Return the settings that the scale changed, in full and here."""
    found = results.summary["provenance"]["settings"]["reduced"]
    rows = [row for one in found if (row := changed(one, results.variants))]
    head = ["Setting", "In full", f"At {results.scale} scale"]
    caption = f"What differs at {results.scale} scale; –: not set, without a limit."
    return Table(head, rows, caption, "lll") if rows else None


def seeds(results: StudyResults) -> Table | None:
    """Return the seeds of each variant, and what the most of each would have cost."""
    if results.rounds is None:
        return None
    most = results.rounds.most
    rows, spent, fixed = [], 0.0, 0.0
    for variant, runs in results.runs.items():
        times = results.values(variant, "train_seconds")
        took, whole = sum(times), most * sum(times) / max(1, len(times))
        rows.append(
            [results.label(variant), len(runs), duration(took), duration(whole)]
        )
        spent, fixed = spent + took, fixed + whole
    made = sum(map(len, results.runs.values()))
    rows.append(
        [f"all, {most * len(rows)} if fixed", made, *map(duration, (spent, fixed))]
    )
    head = ["Variant", "Seeds", "Training time", f"With {most} fixed seeds"]
    caption = (
        f"Seeds and training time of each variant, and the time that {most} seeds would "
        "have taken at the mean of its runs."
    )
    return Table(head, rows, caption)


def briefly(results: StudyResults) -> str:
    """Return the sizes that the scale changed, in one line."""
    table = reduced(results)
    found = [
        f"{SIZES[row[0]]} {row[1].replace(DASH, 'all')} → {row[2]}"
        for row in (table.rows if table else ())
        if row[0] in SIZES
    ]
    return "; ".join(found) or "the appendix lists what differs"


def changed(difference: Difference, labels: dict[str, str]) -> list[str] | None:
    """Return a row of the table; `labels`: of variants.

    None for the levels of a question, which follow from the variants that are left.
    """
    parts = difference["key"].split(".")
    if parts[0] == "compare" and len(parts) > 2:
        return None
    whose = []
    if parts[0] == "variants":
        whose, parts = [labels.get(parts[1], parts[1])], parts[2:]
    what = " ".join(words(part) for part in parts if part not in PLACES)
    name = ", ".join([*whose, what] if what else whose)
    before, now = difference.get("before"), difference.get("now")
    if name == "run":
        return ["variants that are run", chosen(before), chosen(now)]
    if "now" not in difference:
        there = "there" if isinstance(before, dict) else setting(before)
        return [name, there, "left out"]
    return [name, setting(before), setting(now)]


def chosen(names: list[str] | None) -> str:
    """Return how many variants are run."""
    return "all" if names is None else str(len(names))
