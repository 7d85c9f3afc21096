"""Fonts for characters that the fonts of reports lack, such as Chinese and emoji."""

import unicodedata
from functools import cache
from pathlib import Path

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from labmill.core.errors import LabmillError
from labmill.core.processes import run
from labmill.report import style

INSTALL = (
    "No font of this machine has the characters {characters}, so figures and PDF show boxes. "
    "Install one (Debian: fonts-noto-cjk for Chinese, Japanese and Korean, fonts-symbola for "
    "emoji) and build the report again."
)
SHOWN = 8


def lacking(text: str) -> str:
    """Return the characters of a text that the font of figures lacks, each once."""
    known = get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()
    return "".join(
        one
        for one in sorted(set(text))
        if ord(one) not in known and unicodedata.category(one)[0] not in "CMZ"
    )


@cache
def covering(characters: str) -> Path | None:
    """Return a font of this machine with these characters, None where there is none."""
    codes = " ".join(f"{ord(one):x}" for one in characters)
    pattern = f":charset={codes}:scalable=true:color=false"
    try:
        found = run(["fc-list", pattern, "file"], what="fc-list")
    except (LabmillError, OSError):  # no fontconfig
        return None
    files = sorted(line.strip(": ") for line in found.stdout.decode().splitlines())
    return Path(files[0]) if files else None


def use(text: str) -> tuple[Path | None, str]:
    """Let figures find the characters of a text.

    Returns:
        the further font that they need, and what to install where there is none.
    """
    characters = lacking(text)
    font = covering(characters) if characters else None
    families = ["DejaVu Sans"]
    if font:
        fontManager.addfont(font)
        families.append(FontProperties(fname=font).get_name())
    style.RC["font.family"] = families
    if not characters or font:
        return font, ""
    more = f" and {len(characters) - SHOWN} more" if len(characters) > SHOWN else ""
    return None, INSTALL.format(characters=" ".join(characters[:SHOWN]) + more)
