"""The report as LaTeX, with its figures and numbers, in a folder for Overleaf."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from labmill.report.number_format import format_of
from labmill.report.pandoc import ASSETS, bibliography, pandoc
from labmill.report.results import StudyResults

README = """# This report in LaTeX

- `report.tex`: the report. Compile it with XeLaTeX or LuaLaTeX, twice:
  `latexmk -xelatex report.tex`.
- `results.tex`: every number of every variant as a macro, for your own sentences:
  `\\result{VARIANT.METRIC}`, for example `\\result{EXAMPLE}`.
- `figures/`: the figures as PDF.

Overleaf: New Project > Upload Project, with this folder as a zip file. Then choose
XeLaTeX under Menu > Compiler.

`labmill verify` compares these files with the results; numbers that you type are not checked.
"""


def write_latex(
    folder: Path, markdown: str, figures: Mapping[str, bytes], results: StudyResults
) -> None:
    """Write report.tex, results.tex, README.md and figures/ into an empty folder.

    figures: by name, as PDF.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "figures").mkdir(parents=True)
    for name, content in figures.items():
        (folder / f"figures/{name}.pdf").write_bytes(content)
    with bibliography(results.study["report"]["references"]) as cited:
        text = pandoc(
            markdown,
            "--to=latex",
            "--standalone",
            # The title is a heading of the first level.
            "--shift-heading-level-by=-1",
            "--variable=papersize:a4",
            "--variable=geometry:margin=25mm",
            "--variable=colorlinks",
            f"--include-in-header={ASSETS / 'header.tex'}",
            *cited,
        )
    macros = macros_of(results)
    example = next(iter(macros), "")
    lines = [f"\\setresult{{{key}}}{{{value}}}" for key, value in macros.items()]
    (folder / "report.tex").write_text(text, encoding="utf-8")
    (folder / "results.tex").write_text("\n".join(lines) + "\n", encoding="utf-8")
    readme = README.replace("EXAMPLE", example)
    (folder / "README.md").write_text(readme, encoding="utf-8")


def macros_of(results: StudyResults) -> dict[str, str]:
    """Return `variant.metric` → mean over seeds, as the report writes it, for LaTeX."""
    columns = dict.fromkeys(
        name
        for row in results.rows
        for name in row.sources
        if row.value(name) is not None
    )
    return {
        f"{variant}.{column}": escaped(format_of(column)(mean.estimate))
        for variant in results.variants
        for column in columns
        if (mean := results.mean(variant, column))
    }


def escaped(number: str) -> str:
    """Return a number for LaTeX."""
    return number.replace("%", "\\%").replace("\N{NO-BREAK SPACE}", "~")
