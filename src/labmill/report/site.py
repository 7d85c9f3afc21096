"""results/index.html: every study that has a report, its state and its headlines."""

import re
from pathlib import Path
from typing import Any

import markupsafe

from labmill.report.render import ASSETS, environment
from labmill.runtime import atomic_write, read_json


def index(results: Path) -> Path:
    """Write `results/index.html` over all reports below `results`; return its path.

    A study is `stale` where a file behind its report is newer than the report, and
    `incomplete` where a run is missing; smoke and laptop results say so.
    """
    found = [
        entry(results, path)
        for path in sorted(results.rglob("index.json"))
        if len(path.relative_to(results).parts) <= 3
    ]
    found.sort(key=lambda one: (SCALES.index(one["scale"]), one["name"]))
    css = markupsafe.Markup((ASSETS / "report.css").read_text(encoding="utf-8"))
    page = (
        environment("html").get_template("index.html.j2").render(studies=found, css=css)
    )
    path = results / "index.html"
    with atomic_write(path) as file:
        file.write(page)
    return path


SCALES = ("full", "laptop", "smoke")


def entry(results: Path, path: Path) -> dict[str, Any]:
    """One study's line."""
    summary = read_json(path)
    folder = path.parent
    claims = (
        read_json(folder / "claims.json") if (folder / "claims.json").is_file() else []
    )
    first = [c for c in claims if c["id"] in ("best", "score")]
    asked = [c for c in claims if c["section"] == "compare" and c["id"].count(":") == 2]
    return {
        "name": summary["study"],
        "title": summary["provenance"]["settings"]["study"]["title"],
        "scale": summary["scale"],
        "state": state(folder, summary),
        "runs": len(summary["runs"]),
        "claims": [
            {"text": plain(c["statement"]), "verdict": c["verdict"]}
            for c in (first + asked)[:3]
        ],
        "files": {
            kind: (folder / f"report.{kind}").relative_to(results).as_posix()
            for kind in ("html", "pdf", "md")
            if (folder / f"report.{kind}").is_file()
        },
    }


def state(folder: Path, summary: dict[str, Any]) -> str:
    """`complete`, `incomplete`, `stale` or `no report`."""
    report = folder / "report.html"
    if not report.is_file():
        return "no report"
    if any(run["status"] == "failed" for run in summary["runs"]):
        return "incomplete"
    written = report.stat().st_mtime
    behind = [folder / "claims.json", folder / "runs.csv", folder / "index.json"]
    planned = Path(summary["results"])
    for run in summary["runs"]:
        for name, file in run["files"].items():
            if file and name != "model" and Path(file).is_relative_to(planned):
                behind.append(folder / Path(file).relative_to(planned))
    newer = (p.stat().st_mtime > written + 1 for p in behind if p.is_file())
    return "stale" if any(newer) else "complete"


def plain(markdown: str) -> str:
    """A claim's sentence without Markdown's backslashes."""
    return re.sub(r"\\([^\w\s])", r"\1", markdown)


if __name__ == "__main__":
    import sys

    print(index(Path(sys.argv[1] if len(sys.argv) > 1 else "results")))
