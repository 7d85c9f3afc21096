"""The report as a Word document: figures as pictures with alternative text."""

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from labmill.report.pandoc import ASSETS, bibliography, pandoc


def to_docx(
    markdown: str, *, date: str, pictures: Mapping[str, bytes], references: str
) -> bytes:
    """Return the document, byte for byte the same for the same input.

    pictures: of the figures, as PNG.
    """
    with tempfile.TemporaryDirectory() as temporary, bibliography(references) as cited:
        folder = Path(temporary)
        (folder / "figures").mkdir()
        for name, content in pictures.items():
            (folder / f"figures/{name}.png").write_bytes(content)
        out = folder / "report.docx"
        pandoc(
            markdown,
            "--to=docx",
            f"--output={out}",
            f"--resource-path={folder}",
            f"--reference-doc={ASSETS / 'reference.docx'}",
            *cited,
            variables=seconds_of(date),
        )
        return out.read_bytes()


def seconds_of(date: str) -> dict[str, str]:
    """Return the environment in which pandoc dates a document by that day."""
    seconds = int(datetime.fromisoformat(f"{date}T00:00Z").timestamp())
    return {"SOURCE_DATE_EPOCH": str(seconds)}
