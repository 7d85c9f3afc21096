"""A user's Markdown, closed and harmless, and what of it a report cannot show."""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labmill.core.errors import LabmillError, shown
from labmill.core.processes import TIME_LIMIT, TimeLimitError, run
from labmill.report.pandoc import ASSETS, FILTER, READER, program
from labmill.report.text import Markdown

# The author's headings begin below the headings of sections.
BASE = 3
# What would let words be taken for computed ones; the rest is shown as text.
FORGED = ("name", "class")


@dataclass(frozen=True)
class Problem:
    """What a report does not show, or not as it is written.

    Attributes:
        kind: `name`, `class`, `citation`, `no references`, `mathematics`, `picture`.
        found: what is written.
    """

    kind: str
    found: str

    def sentence(self, keys: Iterable[str] = ()) -> str:
        """Return what was found and what to write instead."""
        found = self.found
        match self.kind:
            case "name":
                return (
                    f"the name #{found} is the report's own; give this another one, "
                    f"such as {{#my-{found}}}"
                )
            case "class":
                return (
                    f"found {{.{found}}}; how words look is the report's own, so that "
                    "they cannot be taken for computed ones"
                )
            case "citation":
                near = difflib.get_close_matches(found, list(keys), n=1)
                hint = f"did you mean @{near[0]}? " if near else ""
                return (
                    f"found @{found}, which report.references does not contain; {hint}"
                    f"a name that is no citation is written \\@{found}"
                )
            case "no references":
                return (
                    f"found the citation [@{found}], but report.references is empty; "
                    f"a name that is no citation is written \\@{found}"
                )
            case "mathematics":
                return (
                    f"found ${shown(found)[1:-1]}$, which is no TeX that can be typeset; "
                    "a dollar sign is written \\$"
                )
            case _:
                return (
                    f"found the picture {shown(found)}; a picture is a PNG, JPEG or SVG "
                    "file below the folder of the study, written ![caption](file)"
                )


@dataclass(frozen=True)
class Words:
    """One text of a user.

    Attributes:
        where: its key in the study.
        markdown: the same words, every construct closed.
        names: the anchors that it defines.
        links: the anchors that it links to, but for the report's own.
        problems: what a report does not show as it is written.
    """

    where: str
    markdown: Markdown
    names: tuple[str, ...]
    links: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_words(
    texts: Mapping[str, str],
    *,
    references: str = "",
    pictures: Mapping[str, str] | None = None,
    timeout: float = TIME_LIMIT,
) -> tuple[list[Words], list[str]]:
    """Read all texts of a study in one process.

    Args:
        texts: Markdown by key in the study.
        references: BibTeX.
        pictures: path in the texts → file of the report.
        timeout: seconds for all of it.

    Returns:
        The words, and the keys of the references.

    Raises:
        LabmillError: the references are no BibTeX, or a text needs too much time or
            memory. The message names the key.
    """
    given = {
        "reader": READER,
        "filter": str(FILTER),
        "base": BASE,
        "references": references,
        "pictures": dict(pictures or {}),
        "texts": [{"where": where, "text": text} for where, text in texts.items()],
    }
    command = [program(), "lua", str(ASSETS / "words.lua")]
    try:
        done = run(command, what="pandoc", text=json.dumps(given), timeout=timeout)
    except TimeLimitError as error:
        reached = error.errors.decode(errors="replace").split("\n")[-2:-1]
        raise LabmillError(
            f"{''.join(reached)}: not read after {timeout:g} s; such nesting, of "
            "brackets for example, is too deep"
        ) from None
    if done.returncode:
        *reached, said = done.stderr.decode(errors="replace").strip().split("\n")
        where = reached[-1] if reached else "words"
        raise LabmillError(f"{where}: cannot be read: {said}")
    found = json.loads(done.stdout)
    if "error" in found:
        raise LabmillError(
            f"report.references: no BibTeX: {first_line(found['error'])}"
        )
    words = [
        Words(
            one["where"],
            Markdown(one["markdown"].strip()),
            tuple(one["names"]),
            tuple(one["links"]),
            tuple(Problem(**problem) for problem in one["problems"]),
        )
        for one in found["texts"]
    ]
    return words, found["keys"]


def first_line(text: str) -> str:
    """Return pandoc's message without the name of its input and the lines after it."""
    return " ".join(text.split())[:200]


def harmless(
    texts: Mapping[str, str],
    *,
    references: str = "",
    pictures: Mapping[str, str] | None = None,
) -> dict[str, Markdown]:
    """Return each text as a block that says whose words it contains; empty ones left out.

    Raises:
        LabmillError: one uses names or looks that are the report's own, so that nobody
            takes its words for computed ones.
    """
    written = {where: text for where, text in texts.items() if text.strip()}
    if not written:
        return {}
    words, _ = read_words(written, references=references, pictures=pictures)
    for one in words:
        for problem in one.problems:
            if problem.kind in FORGED:
                raise LabmillError(f"{one.where}: {problem.sentence()}")
    return {one.where: block(one.markdown) for one in words}


def block(markdown: str) -> Markdown:
    """Return closed Markdown as a block of the author's words."""
    return Markdown(f"::::::::: words\n{markdown}\n:::::::::")
