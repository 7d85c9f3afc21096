"""Figures in the page: the same drawing in fewer bytes."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from labmill.report import style
from labmill.report.figures import Drawing
from labmill.report.inline import outlines, placed, tight

PIXELS = np.zeros((4, 4, 4), np.uint8)
PIXELS[..., 3] = 255
PIXELS[::2, 1::2] = [200, 30, 0, 255]


@pytest.fixture(scope="module")
def drawn() -> Drawing:
    """The same picture twice, a line and words."""
    figure = style.figure(2)
    for axes in figure.subplots(1, 3)[:2]:
        axes.imshow(PIXELS, interpolation="none")
    figure.axes[2].plot(np.linspace(0, 1, 50) ** 2)
    figure.axes[2].set_title("Words")
    return Drawing("a", figure, figure, "caption", "words")


def test_names_stand_once_and_references_lead_to_them(drawn):
    page = outlines([drawn.svg]) + placed("a", drawn.svg, "x", drawn.narrow_svg)
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    used = re.findall(r'<use href="#([^"]+)"|url\(#([^)]+)\)', page)
    assert len(used) > 10
    assert {glyph or clip for glyph, clip in used} <= set(names)


def test_a_picture_of_few_colours_keeps_its_pixels(drawn):
    found = re.findall(
        r"data:image/webp;base64,([^\"]+)",
        placed("a", drawn.svg, "x", drawn.narrow_svg),
    )
    assert len(found) == 4
    picture = Image.open(io.BytesIO(base64.b64decode(found[0]))).convert("RGBA")
    assert picture.size == (4, 4)
    # An SVG's picture stands upside down and is turned by its transform.
    assert np.array_equal(np.asarray(picture), PIXELS) or np.array_equal(
        np.asarray(picture)[::-1], PIXELS
    )


def test_scales_keep_their_digits_and_places_do_not():
    given = '<g transform="translate(1.23456 7) scale(0.015625)"><path d="M 0.12345 2 \nL 3 4 "/>'
    assert tight(given) == (
        '<g transform="translate(1.23 7) scale(0.015625)"><path d="M0.12 2L3 4"/>'
    )
