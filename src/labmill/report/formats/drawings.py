"""Figures as pictures and as PDF, for formats that take no SVG."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from labmill.core.processes import run
from labmill.report.pandoc import checked

# In a separate process, which can have limits of time and memory.
CONVERT = """
import pathlib, sys, typst
root, resolution = pathlib.Path(sys.argv[1]), float(sys.argv[2])
for path in sorted(root.glob("*.svg")):
    page = root / "page.typ"
    page.write_text(
        "#set page(width: auto, height: auto, margin: 0pt)\\n"
        "#set document(date: none)\\n"
        f'#image("{path.name}")'
    )
    for kind in ("png", "pdf"):
        typst.compile(
            page, output=path.with_suffix("." + kind), root=root, format=kind,
            ppi=resolution, ignore_system_fonts=True, timestamp=0,
        )
"""
RESOLUTION = 200  # pixels per inch


def converted(drawn: Mapping[str, str]) -> dict[str, dict[str, bytes]]:
    """Return `png` and `pdf` → figure → its bytes; `drawn`: figure → SVG."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name, svg in drawn.items():
            (root / f"{name}.svg").write_text(svg, encoding="utf-8")
        command = [sys.executable, "-c", CONVERT, str(root), str(RESOLUTION)]
        checked(run(command, what="typst"), "typst")
        return {
            kind: {name: (root / f"{name}.{kind}").read_bytes() for name in drawn}
            for kind in ("png", "pdf")
        }
