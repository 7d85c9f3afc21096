"""An own figure that fails says why in its place, with the user's file and line."""

import logging
from pathlib import Path

import pytest

from labmill.report.document import Document

FIGURE = """from labmill.core.errors import LabmillError
from labmill.report import style

CAPTION = "x"
ALT = "x"


def draw(results):
    figure = style.figure(2)
    axes = figure.subplots()
    return figure
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("= figure.sub", "= 1 / 0 + fig", "line 10, in draw: ZeroDivisionError: div"),
        ("axes = ", "exit(); ", "line 10, in draw: SystemExit"),
        ("axes = ", "raise LabmillError('no'); ", "line 10, in draw: LabmillError: no"),
        ("from labmill.report", "from porch", "line 2, in <module>: ModuleNotFound"),
        ("return figure", "return axes", "draw returned Axes; expected a figure"),
        (
            "return figure",
            "axes.set_title('$\\\\no$'); return figure",
            "Unknown symbol",
        ),
    ],
)
def test_a_figure_that_fails_says_why_in_its_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    old: str,
    new: str,
    words: str,
):
    monkeypatch.chdir(tmp_path)
    Path("figures").mkdir()
    Path("figures/broken.py").write_text(FIGURE.replace(old, new))
    document = Document.__new__(Document)
    document.drawn, document.drawings, document.results = set(), {}, None
    with caplog.at_level(logging.WARNING):
        note = str(document.figure("broken")).replace("\\", "")
    start = "The figure broken cannot be made of these results: figures/broken.py"
    for text in (note, caplog.text):
        assert start in text and words in text and text.count("figures/broken.py") == 1
    assert "fault of labmill" not in caplog.text
