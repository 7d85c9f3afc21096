"""results/index.html: every study, the state of its results, its answers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import markupsafe

from labmill.core.files import atomic_write, read_json
from labmill.report.jinja import environment
from labmill.report.pandoc import ASSETS
from labmill.report.text import unescaped


def site(studies: Iterable[dict[str, Any]], out: Path) -> None:
    """Write the page `out`, in the folder of all results.

    studies: records of `labmill.plan.status`.
    """
    shown = [
        study | (describe(out.parent / study["place"]) if study["made"] else {})
        for study in studies
    ]
    with atomic_write(out) as file:
        file.write(page_of(shown))


def page_of(studies: Iterable[dict[str, Any]]) -> str:
    """Return the page of studies: their status and, where made, `describe`."""
    page = environment("html").get_template("index.html.j2")
    css = (ASSETS / "report.css").read_text(encoding="utf-8")
    return page.render(studies=[*studies], css=markupsafe.Markup(css))


def describe(folder: Path, report_folder: Path | None = None) -> dict[str, Any]:
    """Return title, answers and links of a study's results.

    report_folder: where its report was written, if not into `folder`.
    """
    index = read_json(folder / "index.json")
    path = (report_folder or folder) / "report.json"
    report = read_json(path) if path.is_file() else {}
    return {
        "title": index["provenance"]["settings"]["study"]["title"],
        "date": index["provenance"]["date"][:10],
        "networks": len(index["runs"]),
        "sentence": unescaped(report.get("sentence", "")),
        "answers": [
            {key: unescaped(answer[key]) for key in ("question", "answer", "number")}
            for answer in report.get("answers", ())
        ],
        "files": {
            kind: f"{'' if index['scale'] == 'full' else index['scale'] + '/'}{folder.name}/report.{kind}"
            for kind in ("html", "pdf", "docx", "md")
            if (folder / f"report.{kind}").is_file()
        },
    }
