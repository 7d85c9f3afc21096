"""Rule report: everything a study found, as Markdown, one HTML page and a PDF.

Reads files only, and neither torch nor the network: a login node can do it.
"""

import io
import shutil
from pathlib import Path

from labmill.report.document import Document
from labmill.report.explorer import explorer
from labmill.report.figures import Drawing
from labmill.report.render import to_html, to_pdf
from labmill.report.results import Results
from labmill.runtime import atomic_write, log, write_json


def write(
    results: Results,
    *,
    markdown: Path,
    html: Path,
    pdf: Path,
    figures: Path,
    record: Path,
) -> None:
    """Write the report of one study.

    figures: a folder that gets one SVG per figure; record: JSON, the job that wrote the
    report, `figures` (names) and `shown` (indices of the dataset's images in it). LabmillError where the
    author's own words name a section, figure or number that does not exist.
    """
    document = Document(results)
    text = document.markdown()
    shutil.rmtree(figures, ignore_errors=True)
    figures.mkdir(parents=True)
    drawn = {name: svg(drawing) for name, drawing in document.drawings.items()}
    for name, content in drawn.items():
        (figures / f"{name}.svg").write_text(content, encoding="utf-8")
    put(markdown, text)
    study = results.study
    page = to_html(
        text,
        title=study["title"],
        drawn=drawn,
        alts={name: drawing.alt for name, drawing in document.drawings.items()},
        charts={
            name: drawing.chart
            for name, drawing in document.drawings.items()
            if drawing.chart
        },
        explorer=explorer(results) if "explorer" in text else None,
        references=study["report"]["references"],
    )
    put(html, page)
    printed = to_pdf(
        text,
        title=study["title"],
        author=study["author"]["name"] or "",
        date=results.date,
        folder=figures,
        references=study["report"]["references"],
    )
    with atomic_write(pdf, "wb") as file:
        file.write(printed)
    write_json(
        record,
        results.job | {"figures": sorted(drawn), "shown": sorted(results.pool.shown)},
    )
    log.info("%d figures, HTML %.1f MB", len(drawn), len(page.encode()) / 1e6)


def put(path: Path, text: str) -> None:
    """Write a text file whole."""
    with atomic_write(path) as file:
        file.write(text)


def svg(drawing: Drawing) -> str:
    """A figure as SVG, the same bytes every time."""
    file = io.StringIO()
    drawing.figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
