"""Rule report: everything a study found, as Markdown, page, PDF, Word and LaTeX.

Reads files only, and neither torch nor the network: a login node can do it.
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labmill.core.files import atomic_write, write_json
from labmill.core.logs import log
from labmill.report.document import Document
from labmill.report.formats.docx import to_docx
from labmill.report.formats.drawings import converted
from labmill.report.formats.latex import write_latex
from labmill.report.pdf import to_pdf
from labmill.report.pictures import read_figures
from labmill.report.render import to_html
from labmill.report.results import StudyResults
from labmill.report.sections.predictions.explorer import explorer
from labmill.report.text import escape
from labmill.report.unmade import Unmade, attempt


@dataclass(frozen=True)
class ReportOutputs:
    """The files of a report.

    Attributes:
        figures: a folder with one SVG per figure.
        latex: a folder with report.tex, its numbers and figures.
        record: JSON, the job that wrote the report, `figures` (names), `shown` (indices of
            the dataset's images in it), and the first page.
    """

    markdown: Path
    html: Path
    pdf: Path
    docx: Path
    latex: Path
    figures: Path
    record: Path

    @classmethod
    def below(cls, folder: Path) -> "ReportOutputs":
        """Return the files of a report in a folder."""
        return cls(
            markdown=folder / "report.md",
            html=folder / "report.html",
            pdf=folder / "report.pdf",
            docx=folder / "report.docx",
            latex=folder / "report_latex",
            figures=folder / "figures",
            record=folder / "report.json",
        )

    @property
    def appendix(self) -> Path:
        """The appendix of a short report as PDF; a full one has none."""
        return self.pdf.with_name("appendix.pdf")


# Characters of a figure from which a page holds it once: phones scale it down.
LARGE = 250_000


def write(results: StudyResults, out: ReportOutputs) -> None:
    """Write the report of one study.

    LabmillError where the author's own words name a section, figure or number that does
    not exist.
    """
    # Read before the folder that may contain them is emptied.
    pictures = read_figures(results.pictures, results.inputs.pictures)
    document = Document(results)
    text = document.markdown
    shutil.rmtree(out.figures, ignore_errors=True)
    out.figures.mkdir(parents=True)
    drawn = {name: drawing.svg for name, drawing in document.drawings.items()}
    drawn |= pictures | document.pictures
    for name, content in drawn.items():
        (out.figures / f"{name}.svg").write_text(content, encoding="utf-8")
    explored: Any = None
    if "explorer" in text:
        explored = attempt("The explorer", lambda: explorer(results))
    put(out.markdown, text)
    study = results.study
    author, references = study["author"]["name"] or "", study["report"]["references"]
    page = to_html(
        text,
        title=study["title"],
        drawn=drawn,
        alts={name: drawing.alt for name, drawing in document.drawings.items()},
        narrow={
            name: drawing.narrow_svg
            for name, drawing in document.drawings.items()
            if len(drawing.svg) < LARGE
        },
        data={
            "explorer": None if isinstance(explored, Unmade) else explored,
            "variants": list(results.variants.values()),
            "claims": results.numbered,
            "runs": results.inputs.index.with_name("runs.csv").read_text("utf-8"),
        },
        references=references,
    )
    put(out.html, page)
    out.appendix.unlink(missing_ok=True)
    heading = f"# {escape(study['title'])}\n\n" if document.appendix else ""
    parts = {out.pdf: document.main, out.appendix: heading + document.appendix}
    for path, part in parts.items():
        if part:
            printed = to_pdf(
                part,
                title=study["title"],
                author=author,
                date=results.date,
                folder=out.figures,
                # The appendix is without the author's words.
                references=references if path == out.pdf else "",
                font=document.font,
            )
            put_bytes(path, printed)
    figures = converted(drawn)
    word = to_docx(
        text, date=results.date, pictures=figures["png"], references=references
    )
    put_bytes(out.docx, word)
    write_latex(out.latex, text, figures["pdf"], results)
    front = document.front
    write_json(
        out.record,
        dict(results.job)
        | {
            "figures": sorted(drawn),
            "shown": sorted(results.pool.shown),
            "sentence": front.sentence,
            "answers": [asdict(answer) for answer in front.answers],
        },
    )
    log.info("%d figures, HTML %.1f MB", len(drawn), len(page.encode()) / 1e6)


def put(path: Path, text: str) -> None:
    """Write a text file whole."""
    with atomic_write(path) as file:
        file.write(text)


def put_bytes(path: Path, content: bytes) -> None:
    """Write a binary file whole."""
    with atomic_write(path, "wb") as file:
        file.write(content)
