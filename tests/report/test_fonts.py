"""Characters that the fonts of reports lack: a font of the machine, or what to install."""

from pathlib import Path

import pymupdf
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from helpers.report_page import built
from labmill.report import fonts, style

CHANGES = {"title": "数字", "variants": {}, "compare": {}, "pruning": {}}


@pytest.fixture
def folder(tmp_path: Path):
    """A function that builds a report with a Chinese title and label."""

    def make() -> Path:
        layers = ["conv 16 bn", "pool", "flatten"]
        variants = {
            name: {"label": label, "model": {"name": "cnn", "layers": layers}}
            for name, label in (("cnn", "数字"), ("vit_sin_relu", "CNN"))
        }
        changes = CHANGES | {"variants": variants, "published": None}
        changes |= {"report": {"sections": ["results"]}}
        return built(tmp_path, changes=changes, seeds=1)

    yield make
    style.RC["font.family"] = ["DejaVu Sans"]


def squares(path: Path, characters: str) -> Path:
    """Write a font in which these characters are squares."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for point in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(point)
    pen.closePath()
    names = [".notdef", *(f"uni{ord(one):04X}" for one in characters)]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(c): f"uni{ord(c):04X}" for c in characters})
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    font.setupHorizontalHeader(ascent=900, descent=-100)
    font.setupNameTable(
        {"familyName": "Squares", "styleName": "Regular", "psName": "Squares"}
    )
    font.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    font.setupPost()
    font.save(path)
    return path


def test_a_font_of_the_machine_is_used(
    folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    font = squares(tmp_path / "squares.ttf", "数字")
    monkeypatch.setattr(fonts, "covering", lambda characters: font)
    made = folder()
    assert "Squares-" in (made / "figures/accuracy.svg").read_text("utf-8")
    page = pymupdf.open(made / "report.pdf")[0]
    assert "数字" in page.get_text()
    assert any("Squares" in found[3] for found in page.get_fonts())
    assert "fonts-noto-cjk" not in (made / "report.md").read_text("utf-8")


def test_without_one_the_report_says_what_to_install(
    folder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fonts, "covering", lambda characters: None)
    text = (folder() / "report.md").read_text("utf-8")
    assert text.count("has the characters 字 数") == 1 and "fonts-noto-cjk" in text


@pytest.mark.parametrize(
    ("text", "found"), [("Größe 95 % – α ≥ β", ""), ("digit 数\n🙂", "数🙂")]
)
def test_what_lacks_a_glyph(text: str, found: str):
    assert fonts.lacking(text) == found
