"""results/index.html: every study, the state of its results, its headlines."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import markupsafe

from labmill.report.claims.words import unescaped
from labmill.report.headlines import headlines
from labmill.report.render import ASSETS, environment
from labmill.runtime import atomic_write, read_json

# So many answers stand below a study's title.
HEADLINES = 3


def site(studies: Iterable[dict[str, Any]], out: Path) -> None:
    """Write the page `out`, which stands in the folder of all results.

    studies: records of `labmill.overview`.
    """
    page = environment("html").get_template("index.html.j2")
    css = (ASSETS / "report.css").read_text(encoding="utf-8")
    shown = [
        study | (told(out.parent / study["place"]) if study["made"] else {})
        for study in studies
    ]
    with atomic_write(out) as file:
        file.write(page.render(studies=shown, css=markupsafe.Markup(css)))


def told(folder: Path) -> dict[str, Any]:
    """What the page says of a study's results: title, first claims, links."""
    index = read_json(folder / "index.json")
    path = folder / "claims.json"
    claims = read_json(path) if path.is_file() else []
    first, _ = headlines(claims, HEADLINES)
    return {
        "title": index["provenance"]["settings"]["study"]["title"],
        "date": index["provenance"]["date"][:10],
        "networks": len(index["runs"]),
        "claims": [
            {"text": unescaped(c["statement"]), "verdict": c["verdict"]} for c in first
        ],
        "files": {
            kind: f"{'' if index['scale'] == 'full' else index['scale'] + '/'}{folder.name}/report.{kind}"
            for kind in ("html", "pdf", "md")
            if (folder / f"report.{kind}").is_file()
        },
    }
