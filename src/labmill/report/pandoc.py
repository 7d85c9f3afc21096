"""Markdown as harmless HTML, Typst, Word and LaTeX: pandoc, with limits and without other files."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files

import pypandoc

from labmill.core.errors import LabmillError
from labmill.core.processes import TIME_LIMIT, run

ASSETS = files("labmill.report") / "assets"
FILTER = ASSETS / "filter.lua"
# Nothing that a user writes can be HTML, TeX, Typst or metadata.
READER = (
    "markdown-raw_html-raw_tex-raw_attribute-native_divs-native_spans"
    "-markdown_in_html_blocks-yaml_metadata_block-pandoc_title_block-smart"
)


@cache
def program() -> str:
    """Return the path of pandoc."""
    path: str = pypandoc.get_pandoc_path()
    return path


def pandoc(
    text: str,
    *arguments: str,
    timeout: float = TIME_LIMIT,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run pandoc with the filter that makes a document harmless.

    variables: of the environment, in addition to ours.
    """
    command = [
        program(),
        f"--from={READER}",
        "--wrap=none",
        "--columns=10000",  # else wide pipe tables get relative widths
        "--syntax-highlighting=none",
        *arguments,
        f"--lua-filter={FILTER}",
    ]
    environment = {**os.environ, **(variables or {})}
    done = run(
        command, what="pandoc", text=text, timeout=timeout, environment=environment
    )
    return checked(done, "pandoc").decode()


def checked(done: subprocess.CompletedProcess[bytes], what: str) -> bytes:
    """Return the output of a command; raise a LabmillError where it failed."""
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise LabmillError(f"{what}: {said or f'ended with {done.returncode}'}")
    return done.stdout


@contextmanager
def bibliography(references: str) -> Iterator[list[str]]:
    """Yield pandoc's arguments for BibTeX; none where there is no reference."""
    if not references.strip():
        yield []
        return
    with tempfile.NamedTemporaryFile("w", suffix=".bib", encoding="utf-8") as file:
        file.write(references)
        file.flush()
        yield [
            "--citeproc",
            f"--bibliography={file.name}",
            f"--metadata-file={ASSETS / 'references.yaml'}",
        ]
