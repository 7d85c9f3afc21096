"""What a scale smaller than the full one changed."""

from labmill.differences import Difference
from labmill.report.contents.recipes import words
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import setting

# Parts of a setting's key that say where in the file it stands, not what it is.
PLACES = ("arguments", "defaults", "training")


def reduced(results: Results) -> Table | None:
    """The settings that the scale changed, in full and here."""
    found = results.summary["provenance"]["settings"]["reduced"]
    rows = [row for one in found if (row := changed(one, results.variants))]
    head = ["Setting", "In full", f"At {results.scale} scale"]
    caption = f"What was reduced at {results.scale} scale; –: not set, without a limit."
    return Table(head, rows, caption, "lll") if rows else None


def changed(difference: Difference, labels: dict[str, str]) -> list[str] | None:
    """A row of the table; `labels` of variants.

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
    """How many variants are run."""
    return "all" if names is None else str(len(names))
