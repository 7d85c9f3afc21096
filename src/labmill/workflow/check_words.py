"""Check that a report can show all words of a study, before anything runs.

They go through the same pandoc and Typst as the report. Words that were checked once are
remembered.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from labmill.core.digest_cache import Remembered
from labmill.core.errors import LabmillError
from labmill.core.fingerprint import code_fingerprints, digest
from labmill.core.trees import JsonObject
from labmill.plan.plan import Plan
from labmill.plan.report_jobs import templates
from labmill.study.result_numbers import fill_results, marked_texts
from labmill.study.yaml_source import Path_, dotted

TIMEOUT = 10.0  # seconds for pandoc, and again for Typst
# Every font of a report has the characters before this one.
BASIC = "\u0250"
CODE = ("labmill.report.words", "labmill.report.pdf", "labmill.report.pictures")


def check_words(plan: Plan) -> None:
    """Render title, question, labels, texts, references and author."""
    settings = plan.report_settings()
    study, pictures = settings["study"], settings.get("pictures", {})
    printed = {at: text for at, text in texts_of(study) if at[0] != "data"}
    known = Remembered("words")
    libraries = [version(name) for name in ("pypandoc_binary", "typst", "matplotlib")]
    key = digest(
        [
            [[dotted(at), text] for at, text in printed.items()],
            [pictures, code_fingerprints(CODE), templates(), libraries],
        ]
    )
    if key in known:
        return
    check_characters(plan, printed)
    render(plan, study, pictures)
    known.add([key])


def texts_of(value: Any, at: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Yield every text in a study and every key, by key path."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            yield (*at, key, "the key"), key
            yield from texts_of(inside, (*at, key))
    elif isinstance(value, Sequence):
        for index, inside in enumerate(value):
            yield from texts_of(inside, (*at, index))


def fail(plan: Plan, at: Path_, message: str) -> None:
    """Raise the message about words of the study, or of config.yaml."""
    if at[0] == "author" and plan.study.author.model_dump().get(str(at[-1])) is None:
        raise LabmillError(f"config.yaml: {dotted(at)}: {message}")
    plan.source.fail(message, at[:-1] if at[-1] == "the key" else at)


def check_characters(plan: Plan, texts: Mapping[Path_, str]) -> None:
    """Check that the fonts of figures and PDF have every character."""
    for at, text in texts.items():
        unusual = sorted({letter for letter in text if letter >= BASIC})
        missing = [letter for letter in unusual if ord(letter) not in glyphs()]
        if missing:
            letters = " ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
            fail(
                plan,
                at,
                f"found {letters} (U+{ord(missing[0]):04X}); the fonts of figures and "
                "PDF have no such character: write it in Latin letters",
            )


@cache
def glyphs() -> frozenset[int]:
    """Return the characters of the font that figures and PDF share."""
    # Late: only unusual characters need it.
    import matplotlib
    from matplotlib.ft2font import FT2Font

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return frozenset(FT2Font(path).get_charmap())


def render(plan: Plan, study: JsonObject, pictures: Mapping[str, str]) -> None:
    """Render the words as a report of them alone."""
    # Late: a study that is known needs neither.
    from labmill.report.pictures import figure_files, read_figures
    from labmill.report.words import read_words

    marked = marked_texts(study)
    figures: dict[str, str] = {}
    for written, content in pictures.items():
        try:
            figures |= read_figures({written: content}, plan.path.parent)
        except LabmillError as error:
            at = next(at for at, text in marked.items() if written in text)
            fail(plan, at, str(error))
    references = study["report"]["references"]
    filled = {
        dotted(at): fill_results(text, lambda *_: "0.0", dotted(at))
        for at, text in marked.items()
    }
    places = {dotted(at): at for at in marked} | {
        "report.references": ("report", "references")
    }
    try:
        words, keys = read_words(
            filled,
            references=references,
            pictures=figure_files(pictures),
            timeout=TIMEOUT,
        )
    except LabmillError as error:
        where, _, message = str(error).partition(": ")
        if where in places:
            fail(plan, places[where], message)
        raise LabmillError(f"{plan.path}: {error}") from None
    if references.strip():
        check_references(plan, references, keys)
    names = {name for one in words for name in one.names}
    for one in words:
        at = places[one.where]
        for problem in one.problems:
            fail(plan, at, problem.sentence(keys))
        for link in one.links:
            if link not in names:
                fail(
                    plan,
                    at,
                    f"found a link to #{link}, which is the name of nothing; a heading "
                    f"has it when written # Heading {{#{link}}}",
                )
    printed = {one.where: one.markdown for one in words}
    compile_words(plan, study, printed, places, figures)


def check_references(plan: Plan, references: str, keys: Sequence[str]) -> None:
    """Check that every entry of the BibTeX was read, once."""
    written = re.findall(r"@\s*(\w+)\s*[{(]\s*([^\s,{}()]*)", references)
    entries = [
        key
        for kind, key in written
        if kind.lower() not in ("comment", "string", "preamble")
    ]
    at = ("report", "references")
    if not keys:
        fail(plan, at, "found no BibTeX entry, such as @article{key, title = {…}, …}")
    for entry in entries:
        if entry not in keys:
            fail(plan, at, f"the entry {entry!r} is not read; check its brackets")
        if entries.count(entry) > 1:
            fail(plan, at, f"found the entry {entry!r} twice; keys differ")


def compile_words(
    plan: Plan,
    study: JsonObject,
    printed: Mapping[str, str],
    places: Mapping[str, Path_],
    figures: Mapping[str, str],
) -> None:
    """Compile the words to a PDF; where that fails, one after the other."""
    from labmill.report.pdf import to_pdf
    from labmill.report.text import escape
    from labmill.report.words import block

    references = study["report"]["references"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, svg in figures.items():
            (folder / f"{name}.svg").write_text(svg, encoding="utf-8")

        def compiled(markdown: str, references: str) -> str:
            """Return why a document cannot be compiled, or nothing."""
            try:
                to_pdf(
                    markdown,
                    title=study["title"],
                    author=study["author"]["name"] or "",
                    date="2000-01-01",
                    folder=folder,
                    references=references,
                    timeout=TIMEOUT,
                )
            except LabmillError as error:
                return str(error)
            return ""

        plain = [
            text for at, text in texts_of(study) if at[0] not in ("data", "report")
        ]
        table = "\n".join(f"- {escape(text)}" for text in dict.fromkeys(plain))
        heading = f"# {escape(study['title'])} {{#top}}\n\n{table}"
        blocks = [block(text) for text in printed.values()]
        listed = "## References\n\n::: {#refs}\n:::"
        if not (said := compiled("\n\n".join([heading, *blocks, listed]), references)):
            return
        for where, text in printed.items():
            if said := compiled(block(text), references):
                fail(plan, places[where], said)
        if compiled(heading, "") == "" and references.strip():
            fail(plan, places["report.references"], said)
        raise LabmillError(f"{plan.path}: {said}")
