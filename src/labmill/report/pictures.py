"""An author's pictures as figures of a report: SVG files that contain the picture."""

import base64
import hashlib
import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from labmill.core.errors import LabmillError

TYPES = {"PNG": "image/png", "JPEG": "image/jpeg"}
MOST_PIXELS = 50_000_000
WIDTH = 453  # points: the text's width on paper
WRAPPER = re.compile(r'<image href="data:[a-z/+]+;base64,([^"]*)"')


def figure_name(digest: str) -> str:
    """Return the name of the figure that shows a picture."""
    return f"own_{digest[:12]}"


def figure_files(pictures: Mapping[str, str]) -> dict[str, str]:
    """Return the file in the report of each picture, by the path in the text."""
    return {
        written: f"figures/{figure_name(digest)}.svg"
        for written, digest in pictures.items()
    }


def read_figures(pictures: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the pictures as SVG figures, by name.

    Args:
        pictures: path in the text → SHA-256.
        folder: of the study, or of the figures of a finished report.

    Raises:
        LabmillError: a picture is missing, has changed, or is none.
    """
    found = {}
    for written, digest in pictures.items():
        name = figure_name(digest)
        try:
            if (figure := folder / f"{name}.svg").is_file():
                wrapped = WRAPPER.search(figure.read_text(encoding="utf-8"))
                content = base64.b64decode(wrapped[1]) if wrapped else b""
            else:
                content = (folder / written).read_bytes()
        except (OSError, ValueError) as error:
            raise LabmillError(f"{written}: cannot be read: {error}") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise LabmillError(f"{written}: has changed since the study was read")
        found[name] = as_figure(written, content)
    return found


def as_figure(written: str, content: bytes) -> str:
    """Return a picture as an SVG of the report's width or less.

    Raises:
        LabmillError: it is no PNG, JPEG or SVG, or has too many pixels.
    """
    try:
        kind, width, height = size_of(content)
    except LabmillError as error:
        raise LabmillError(f"{written}: {error}") from None
    scale = min(1.0, WIDTH / width)
    size = f'width="{width * scale:g}pt" height="{height * scale:g}pt"'
    data = base64.b64encode(content).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'viewBox="0 0 {width:g} {height:g}">'
        f'<image href="data:{kind};base64,{data}" width="{width:g}" '
        f'height="{height:g}"/></svg>\n'
    )


def size_of(content: bytes) -> tuple[str, float, float]:
    """Return media type, width and height of a picture.

    Raises:
        LabmillError: it is no PNG, JPEG or SVG that can be decoded.
    """
    if b"<svg" in content[:4096]:
        return "image/svg+xml", *svg_size(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=list(TYPES)) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise LabmillError(
                        f"found {width} × {height} pixels; at most {MOST_PIXELS:,}"
                    )
                image.load()
                return TYPES[str(image.format)], width, height
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise LabmillError("is no PNG, JPEG or SVG picture, or is damaged") from None


def svg_size(content: bytes) -> tuple[float, float]:
    """Return width and height of an SVG drawing.

    Raises:
        LabmillError: it is damaged, or has no size.
    """
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError):
        raise LabmillError("is no SVG drawing, or is damaged") from None
    box = re.findall(r"-?[\d.]+(?:e-?\d+)?", root.get("viewBox", ""))
    sides = box[2:] if len(box) == 4 else [root.get("width"), root.get("height")]
    numbers = [re.match(r"\d+(\.\d*)?", side or "") for side in sides]
    width, height = [float(number[0]) if number else 0.0 for number in numbers]
    if not (0 < width < 1e5 and 0 < height < 1e5):
        raise LabmillError("has neither a viewBox nor a width and height")
    return width, height
