"""Figures inside the page: in its colours, and no larger than they need be.

matplotlib writes each letter's outline into every figure, six decimals of a point, and
pictures as PNG. The page holds an outline once, hundredths of a point, and WebP.
"""

import base64
import io
import re
from collections.abc import Iterable

import markupsafe
from PIL import Image

from labmill.report import style

GLYPH = re.compile(r'<path id="(\w+(?:-\w+)*-[0-9a-f]+)"[^>]*/>')
QUALITY = 90


def outlines(drawn: Iterable[str]) -> str:
    """All letters of these SVGs, each once, as a drawing that takes no room."""
    glyphs = {m[1]: m[0] for svg in drawn for m in GLYPH.finditer(svg)}
    paths = "".join(tight(path) for _, path in sorted(glyphs.items()))
    return (
        '<svg aria-hidden="true" width="0" height="0" style="position:absolute">'
        f"<defs>{paths}</defs></svg>"
    )


def placed(name: str, svg: str, alt: str, narrow: str | None) -> str:
    """Return a figure in the page; its letters are those of `outlines`.

    narrow: the same for a phone; None where it has no such form.
    """
    shown = one(name, svg, alt, "wide" if narrow else "only")
    if narrow:
        shown += one(f"{name}-narrow", narrow, alt, "narrow")
    return (
        '<div class="drawing" tabindex="0" role="group" aria-label="Figure">'
        f"{shown}</div>"
    )


def one(name: str, svg: str, alt: str, kind: str) -> str:
    """Return an SVG as an element of class `kind`; `name`: before the names inside."""
    svg = small(svg)
    # The same names are in every figure; here they share one page.
    own = set(re.findall(r'\bid="([\w-]+)"', svg))
    svg = re.sub(
        r'(\bid="|href="#|url\(#)([\w-]+)',
        lambda m: f"{m[1]}{name}-{m[2]}" if m[2] in own else m[0],
        svg,
    )
    for color, (variable, *_) in style.EXCHANGED.items():
        svg = svg.replace(color, f"var(--{variable})")
    words = markupsafe.escape(alt)
    size = re.search(r'width="([\d.]+)pt"', svg)
    points = float(size[1] if size else 0)
    look = f"--points:{points:g}"  # the style sheet says how large a point is
    start = f'<svg class="{kind}" role="img" aria-label="{words}" style="{look}"'
    return svg.replace("<svg", start, 1)


def small(svg: str) -> str:
    """Return an SVG without what nobody sees: letters, comments, names, digits, white space."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"(?s)<metadata>.*?</metadata>|<!--.*?-->", "", svg)
    svg = GLYPH.sub("", svg)
    # Nothing refers to groups and pictures, and a picture shown twice bears one name.
    svg = re.sub(r'(<g) id="[^"]*"| id="image\w+"', r"\1", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(
        r'(<use href="#[\w-]+") transform="translate\((\S+) 0\)"', r'\1 x="\2"', svg
    )
    svg = re.sub(
        r'"data:image/png;base64,([^"]*)"', lambda found: f'"{webp(found[1])}"', svg
    )
    svg = tight(svg)
    svg = re.sub(r"\s*\n\s*", "", svg)
    return re.sub(r"<defs></defs>|<g></g>", "", svg)


def tight(svg: str) -> str:
    """Hundredths in paths and places, and no white space around a path's commands."""
    svg = re.sub(
        r'(?<= d=")[^"]*',
        lambda found: re.sub(r"\s*([A-Za-z])\s*", r"\1", found[0].strip()),
        svg,
    )
    return re.sub(
        r' (?:d|x|y)="[^"]*"|translate\([^)]*\)',
        lambda found: re.sub(
            r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", found[0]
        ),
        svg,
    )


def webp(png: str) -> str:
    """Return a PNG's base64 as a WebP data URI: exact, or as a photo where that is smaller."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    kept = [io.BytesIO(), io.BytesIO()]
    picture.save(kept[0], "WEBP", lossless=True)
    picture.save(kept[1], "WEBP", quality=QUALITY)
    least = min((file.getvalue() for file in kept), key=len)
    return f"data:image/webp;base64,{base64.b64encode(least).decode()}"
