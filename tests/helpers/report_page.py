"""Build a report from synthetic results, and look at what came out."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from helpers.synthetic_results import make_results
from labmill.report.report_inputs import ReportFiles
from labmill.report.results import StudyResults
from labmill.report.summarize import summarize
from labmill.report.write import ReportOutputs, write


def built(root: Path, **options: Any) -> Path:
    """StudyResults, summary and report below `root`; returns the results' folder."""
    job, index = make_results(root, **options)
    folder = root / Path(index[0]["folder"]).parents[2]
    summarize(
        job,
        index,
        runs=folder / "runs.csv",
        index_out=folder / "index.json",
        claims=folder / "claims.json",
    )
    write_again(folder, job)
    return folder


def write_again(folder: Path, job: dict[str, Any], out: Path | None = None) -> None:
    """Only the report, in the results' folder or another one."""
    write(results_of(folder, job), ReportOutputs.below(out or folder))


def results_of(folder: Path, job: dict[str, Any] | None = None) -> StudyResults:
    """What the report's document, figures and tables read."""
    root = folder.parents[len(folder.parts) - folder.parts.index("results") - 1]
    files = ReportFiles.below(folder, root / "data/digits", root / "studies")
    return StudyResults.read(files, job or {})


class Page(HTMLParser):
    """What stands in an HTML page: elements with attributes, and the text outside code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    @property
    def text(self) -> str:
        """All visible words, single spaces."""
        return plain(" ".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def plain(text: str) -> str:
    """Text without layout: letters, digits and signs in order."""
    return re.sub(r"[\s\u00a0\u2060\u00ad]+", "", text)


def said(markdown: str) -> str:
    """A claim's sentence as a reader sees it."""
    return re.sub(r"\\([^\w\s])", r"\1", markdown).replace("`", "")
