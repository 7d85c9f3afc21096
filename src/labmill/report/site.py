"""results/index.html: every study, the state of its results, its headlines."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import markupsafe

from labmill.report.render import ASSETS, environment
from labmill.runtime import atomic_write, read_json


def site(studies: Iterable[dict[str, Any]], out: Path) -> None:
    """Write the page `out`, which stands in the folder of all results.

    studies: records of `labmill.overview`.
    """
    page = environment("html").get_template("index.html.j2")
    css = (ASSETS / "report.css").read_text(encoding="utf-8")
    shown = [
        study | (headlines(out.parent / study["place"]) if study["made"] else {})
        for study in studies
    ]
    with atomic_write(out) as file:
        file.write(page.render(studies=shown, css=markupsafe.Markup(css)))


def headlines(folder: Path) -> dict[str, Any]:
    """What the page says of a study's results: title, first claims, links."""
    index = read_json(folder / "index.json")
    path = folder / "claims.json"
    claims = read_json(path) if path.is_file() else []
    first = [c for c in claims if c["id"] in ("best", "score")]
    asked = [c for c in claims if c["section"] == "compare" and c["id"].count(":") == 2]
    return {
        "title": index["provenance"]["settings"]["study"]["title"],
        "date": index["provenance"]["date"][:10],
        "networks": len(index["runs"]),
        "claims": [
            {"text": plain(c["statement"]), "verdict": c["verdict"]}
            for c in (first + asked)[:3]
        ],
        "files": {
            kind: f"{'' if index['scale'] == 'full' else index['scale'] + '/'}{folder.name}/report.{kind}"
            for kind in ("html", "pdf", "md")
            if (folder / f"report.{kind}").is_file()
        },
    }


def plain(markdown: str) -> str:
    """A claim's sentence without Markdown's backslashes."""
    return re.sub(r"\\([^\w\s])", r"\1", markdown)
