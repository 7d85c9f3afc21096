"""Markdown to PDF: pandoc and Typst, without network or system files."""

import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from labmill.core.processes import TIME_LIMIT, run
from labmill.report.jinja import environment
from labmill.report.pandoc import bibliography, checked, pandoc

# In a separate process, which can have limits of time and memory.
TYPST = """
import sys, typst
root, timestamp = sys.argv[1], int(sys.argv[2])
try:
    page = typst.compile(
        root + "/report.typ", root=root, ignore_system_fonts=True, timestamp=timestamp,
        font_paths=sys.argv[3:],
    )
except typst.TypstError as error:
    sys.exit(str(error))
sys.stdout.buffer.write(page)
"""


def to_pdf(
    markdown: str,
    *,
    title: str,
    author: str,
    date: str,
    folder: Path,
    references: str,
    font: Path | None = None,
    timeout: float = TIME_LIMIT,
) -> bytes:
    """Return the PDF, byte for byte the same for the same input.

    folder: of the figures; font: one besides Typst's.
    """
    with bibliography(references) as cited:
        body = pandoc(markdown, "--to=typst-citations", *cited, timeout=timeout)
    source = (
        environment("typ")
        .get_template("report.typ.j2")
        .render(title=quoted(title), author=quoted(author), date=date, body=body)
    )
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "report.typ").write_text(source, encoding="utf-8")
        (root / "figures").mkdir()
        for path in folder.glob("*.svg"):
            (root / "figures" / path.name).write_bytes(path.read_bytes())
        timestamp = int(datetime.fromisoformat(f"{date}T00:00Z").timestamp())
        command = [sys.executable, "-c", TYPST, str(root), str(timestamp)]
        if font:  # Typst takes folders
            (root / "fonts").mkdir()
            shutil.copy(font, root / "fonts")
            command.append(str(root / "fonts"))
        return checked(run(command, what="typst", timeout=timeout), "typst")


def quoted(text: str) -> str:
    """Return a Typst string literal."""
    text = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
