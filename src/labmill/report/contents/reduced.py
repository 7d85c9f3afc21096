"""What a scale smaller than the full one changed."""

import json
import re

from labmill.report.contents.recipes import words
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import setting

CHANGE = re.compile(r"(?P<path>.+?) (?P<how>added|removed|changed|(.+) → (.+))")
# Parts of a setting's path that say where in the file it stands, not what it is.
PLACES = ("arguments", "defaults", "training")
KINDS = {"added": ("–", "set"), "removed": ("there", "left out")}


def reduced(results: Results) -> Table | None:
    """The settings that the scale changed, in full and here."""
    told = results.summary["provenance"]["settings"].get("reduced", [])
    rows = [row for text in told if (row := changed(text, results.variants))]
    head = ["Setting", "In full", f"At {results.scale} scale"]
    caption = f"What was reduced at {results.scale} scale; –: not set, without a limit."
    return Table(head, rows, caption, "lll") if rows else None


def changed(text: str, labels: dict[str, str]) -> list[str] | None:
    """A difference as `labmill.fingerprint.differences` tells it; `labels` of variants.

    None for the levels of a question, which follow from the variants that are left.
    """
    found = CHANGE.fullmatch(text)
    parts = found["path"].split(".")
    if parts[0] == "compare" and len(parts) > 2:
        return None
    whose = []
    if parts[0] == "variants":
        whose, parts = [labels.get(parts[1], parts[1])], parts[2:]
    what = " ".join(words(part) for part in parts if part not in PLACES)
    name = ", ".join([*whose, what] if what else whose)
    if name == "run":
        return ["variants that are run", "", "another choice"]
    if found[3]:
        return [name, *(setting(json.loads(value)) for value in found.group(3, 4))]
    return [name, *KINDS.get(found["how"], ("", "changed"))]
