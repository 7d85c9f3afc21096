"""The report as Markdown: sections in order, numbered figures and tables, references."""

import importlib
import json
import re
import types
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from labmill.core import registry
from labmill.core.project import is_own, place
from labmill.report import fonts
from labmill.report.answer import DECIDED
from labmill.report.claims.claim import Kind
from labmill.report.figures import Drawing, draw
from labmill.report.jinja import environment
from labmill.report.number_format import ends, with_points
from labmill.report.pictures import figure_files
from labmill.report.results import StudyResults
from labmill.report.row_pictures import RowPicture, forest_axis, forest_pictures
from labmill.report.sections.answers.front_page import FrontPage, front_page
from labmill.report.table import Table
from labmill.report.text import Markdown, anchor, escape, listed, named, spaced
from labmill.report.unmade import Unmade, attempt
from labmill.report.words import harmless
from labmill.stats.margins import Verdict
from labmill.study.metrics import metric
from labmill.study.result_numbers import marked_texts
from labmill.study.schema import INTERPRETATION
from labmill.study.yaml_source import dotted

SECTIONS = registry.sections()
# The author's sections come before these.
LAST = ("limits", "references", "appendix")
# Modules of a section's folder that its templates use.
MODULES = ("checklist", "evidence", "sentences", "tables")
# The section of the user's own figures.
HOME = "results"
# A verdict shows by colour and by sign.
SIGNS = {
    Verdict.HIGHER: "▲ ",
    Verdict.LOWER: "▼ ",
    Verdict.PRACTICALLY_EQUAL: "≈ ",
    Verdict.UNDECIDED: "? ",
}
# Words of the first page at most: a longer question of the author is in the method.
FIRST_PAGE = 250
# So many tested claims of one kind are told in one sentence and a table.
MANY = 4


class Document:
    """Report.md, and the figures that it shows.

    A short report has its details in an appendix, a full one in the sections.

    Attributes:
        drawings: what has been drawn, by file name without its ending.
        pictures: those in rows of tables, as SVG by the same.
        font: what the text needs besides the usual fonts.
        main, appendix: both parts as Markdown; a full report has no second one.
        front: the first page.
    """

    def __init__(self, results: StudyResults) -> None:
        self.results = results
        written = [results.study, results.variants, results.classes]
        self.font, self.install = fonts.use(json.dumps(written, ensure_ascii=False))
        self.front: FrontPage = front_page(results)
        self.short = results.study["report"]["length"] == "short"
        self.drawings: dict[str, Drawing] = {}
        self.drawn: set[str] = set()
        self.pictures: dict[str, str] = {}
        self.numbers: dict[str, str] = {}
        self.printed: set[str] = set()
        self.own = self.author_words()
        asked = [claim for claim in results.numbered if asked_difference(claim)]
        self.forest = forest_pictures(asked)
        self.counts: Counter[str] = Counter()
        self.letter = ""
        self.templates = environment("md")
        self.templates.globals |= {
            "results": results,
            "study": results.study,
            "front": self.front,
            "forest": self.forest,
            "forest_ends": with_points(ends(*forest_axis(asked), "%", 1)),
            "figure": self.figure,
            "hero": self.hero,
            "table": self.table,
            "see": self.see,
            "md": Markdown,
            "claims": self.claims,
            "tested": self.tested,
            "named": lambda name: Markdown(named(name)),
        }
        self.templates.filters["thousands"] = lambda n: f"{n:,}"
        self.main, self.appendix = self.parts()

    @property
    def markdown(self) -> str:
        """The whole document."""
        return "\n".join(part for part in (self.main, self.appendix) if part)

    def parts(self) -> tuple[str, str]:
        """Return the main part and the appendix, empty where there is none."""
        head = self.templates.get_template("report.md.j2").render()
        names = self.order()
        asked, first = self.words("question"), f"{head}\n\n{self.section('answers')}"
        late = "method" in names and count_words(first + asked) > FIRST_PAGE
        main, details = [first, "" if late else asked, self.unmade()], []
        for name in names:
            if name not in ("answers", "appendix"):
                if late and name == "method":
                    self.own["report.text.method"] = Markdown(
                        f"{asked}\n\n{self.words('report.text.method')}"
                    )
                main.append(self.section(name))
        if "appendix" not in names:
            return joined(main), ""
        self.letter = "A" if self.short else ""
        if self.short:
            details = [
                f"### {escape(SECTIONS[name])}\n\n{body}"
                for name in SECTIONS
                if name in names and (body := self.details(name))
            ]
        closing = "\n\n".join([*details, self.section("appendix", heading=False)])
        appendix = f"## Appendix {{#section-appendix}}\n\n{closing}"
        if self.short:
            return joined(main), joined([appendix])
        return joined([*main, appendix]), ""

    def unmade(self) -> str:
        """Return a note for each topic whose claims could not be made."""
        missing = [*self.results.summary.get("unmade", ()), self.install]
        return "\n\n".join(f"::: banner\n{escape(one)}\n:::" for one in missing if one)

    def order(self) -> list[str]:
        """Return the sections of this report, in order."""
        report = self.results.study["report"]
        own = [name for name in report["text"] if name not in SECTIONS]
        chosen = report["sections"]
        known = list(SECTIONS) if chosen is None else list(chosen)
        at = next((known.index(name) for name in LAST if name in known), len(known))
        always = [name for name in INTERPRETATION if name not in known]
        own = own if chosen is None else []
        order = [*known[:at], *always, *own, *known[at:]]
        return ["answers", *(name for name in order if name != "answers")]

    def section(self, name: str, *, heading: bool = True) -> str:
        """Return a section with its heading, or nothing where it has no content."""
        parts = [self.words(f"report.text.{name}"), self.computed(name, "section")]
        if not self.short:
            parts.append(self.details(name))
        body = "\n\n".join(part for part in parts if part)
        if not body or not heading:
            return body
        # A figure may be moved to another page: its heading needs a separate line.
        if led := re.match(r"!\[\*\*(\w+ \w+)\.\*\*.*\{#(\S+)", body):
            body = f"See [{led[1]}](#{led[2]}).\n\n{body}"
        title = SECTIONS.get(name) or spaced(name).capitalize()
        return f"## {escape(title)} {{#section-{anchor(name)}}}\n\n{body}"

    def details(self, name: str) -> str:
        """Return what a section's appendix has: its template, figures and other claims."""
        parts = [
            self.computed(name, "details"),
            *(self.figure(figure) for figure in self.wanted(name)),
            self.remaining(name),
        ]
        return "\n\n".join(part for part in parts if part)

    def computed(self, name: str, kind: str) -> str:
        """Return what a template of a section's folder makes; nothing where it has none."""
        file = f"{name}/{kind}.md.j2"
        if (
            name not in SECTIONS
            or not (registry.folder(name) / f"{kind}.md.j2").is_file()
        ):
            return ""
        template = self.templates.get_template(file)
        what = f"The {kind} of {name}"
        return attempt(what, lambda: template.render(**modules(name)).strip())

    def author_words(self) -> dict[str, Markdown]:
        """Return the author's Markdown by its key in the study, numbers filled in."""
        study = self.results.study
        texts = {dotted(at): text for at, text in marked_texts(study).items()}
        return harmless(
            {where: self.results.filled(text, where) for where, text in texts.items()},
            references=study["report"]["references"],
            pictures=figure_files(self.results.pictures),
        )

    def words(self, where: str) -> Markdown:
        """Return the author's words at a key of the study, or nothing."""
        return self.own.get(where, Markdown(""))

    def figure(self, name: str) -> Markdown:
        """Return a figure with number and caption, or nothing where it has no content."""
        if name in self.drawn:
            return Markdown("")
        self.drawn.add(name)
        code = registry.module("report/figures", name)
        own = place(code) if is_own(code) else ""
        what = f"The figure {name}"
        drawings = attempt(what, lambda: drawn(name, self.results), own=own)
        if isinstance(drawings, Unmade):
            return drawings
        blocks = []
        for drawing in drawings:
            number = self.number("Figure", f"fig-{name}", f"fig-{drawing.name}")
            self.drawings[drawing.name] = drawing
            alt = re.sub(r'[\\"]', "'", drawing.alt)
            blocks.append(
                f"![**{number}.** {escape(drawing.caption)}]"
                f'(figures/{drawing.name}.svg){{#fig-{drawing.name} alt="{alt}"}}'
            )
        return Markdown("\n\n".join(blocks))

    def hero(self) -> Markdown:
        """Return the figure of the first page: the study's, else the first with content."""
        for name in (self.results.study["report"]["hero"], *HEROES):
            if name and (found := self.figure(name)):
                return found
        return Markdown("")

    def table(self, table: Table | Unmade | None, name: str = "") -> Markdown:
        """Return a table with number and caption; a wide one in several parts."""
        if isinstance(table, Unmade):
            return table
        if table is None or not table.rows:
            return Markdown("")
        blocks = []
        self.pictures |= {
            cell.name: cell.svg
            for row in table.rows
            for cell in row
            if isinstance(cell, RowPicture)
        }
        for part in table.split():
            anchor = (
                f"tbl-{self.letter.lower()}{self.counts[f'Table{self.letter}'] + 1}"
            )
            number = self.number("Table", f"tbl-{name}", anchor)
            caption = f": **{number}.** {escape(part.caption)} {{#{anchor}}}"
            blocks.append(f"{part.markdown()}\n\n{caption}")
        return Markdown("\n\n".join(blocks))

    def number(self, kind: str, name: str, anchor: str) -> str:
        """Return the next number of a figure or table, and remember it for references."""
        self.counts[kind + self.letter] += 1
        number = f"{kind} {self.letter}{self.counts[kind + self.letter]}"
        self.numbers.setdefault(name, f"[{number}](#{anchor})")
        return number

    def see(self, *shown: tuple[str, str]) -> Markdown:
        """Return `Figure 4 shows …, Table 7 … and …`, of those already in the report."""
        parts = [
            f"{self.numbers[name]} {words}"
            for name, words in shown
            if name in self.numbers
        ]
        if not parts:
            return Markdown("")
        first, *rest = parts
        return Markdown(listed([first.replace(") ", ") shows ", 1), *rest]) + ".")

    def wanted(self, section: str) -> Iterable[str]:
        """Yield the figures of a section that the study requests by name."""
        kind = "report/figures"
        for name in self.results.study["figures"]:
            own = registry.is_own(kind, registry.known(kind, name))
            if section == (HOME if own else registry.files(kind)[name].parents[1].name):
                yield name

    # --- claims ------------------------------------------------------------------------

    def claims(self, start: str = "", section: str = "", kind: str = "") -> Markdown:
        """Return the claims of a section, kind or start of an id, not printed yet."""
        found = [
            claim
            for claim in self.unprinted(start, section)
            if kind in ("", claim["kind"])
        ]
        self.printed.update(claim["id"] for claim in found)
        return Markdown("\n".join(map(self.full, found)))

    def full(self, claim: dict[str, Any]) -> str:
        """Return a claim as an item of a list, with its row of the forest plot."""
        number, badge = claim["number"], ""
        if word := claim["verdict"]:
            kind = f" .{word}" if word in DECIDED else ""
            badge = f" [{SIGNS.get(word, '')}{word}]{{.verdict{kind}}}"
        row = self.forest.get(claim["id"])
        if row:
            self.pictures[row.name] = row.svg
        drawn = f"\\\n  {row}" if row else ""
        return (
            f"- **C{number}.** [{claim['statement']}]{{#claim-{number}}}{badge}{drawn}"
        )

    def unprinted(self, start: str = "", section: str = "") -> list[dict[str, Any]]:
        """Return the claims of a section or start of an id that are not printed yet."""
        return [
            claim
            for claim in self.results.numbered
            if claim["id"].startswith(start)
            and section in ("", claim["section"])
            and claim["id"] not in self.printed
        ]

    def remaining(self, section: str) -> Markdown:
        """Return a section's other claims; many tests of one kind in one sentence."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for claim in self.unprinted(section=section):
            kind = claim["id"].partition(":")[0] if claim["test"] else ""
            groups.setdefault(kind, []).append(claim)
        lines = []
        for kind, found in groups.items():
            if kind and len(found) >= MANY:
                lines.append(f"- {told(found)}")
            else:
                lines += map(self.full, found)
                self.printed.update(claim["id"] for claim in found)
        return Markdown("\n".join(lines))

    def tested(self, claim: dict[str, Any]) -> Markdown:
        """Return a claim's number for the table of tests: the claim, or a link to it."""
        number = claim["number"]
        if claim["id"] in self.printed:
            return Markdown(f"[C{number}](#claim-{number})")
        self.printed.add(claim["id"])
        return Markdown(f"[C{number}]{{#claim-{number}}}")


# Figures of the first page: the first with content.
HEROES = (
    "accuracy",
    "label_budget",
    "accuracy_operations",
    "operations_length",
    "curves",
)


def count_words(markdown: str) -> int:
    """Return the number of words that a reader of Markdown sees."""
    hidden = r"\(figures/[^)]*\)|\{[^}]*\}|\(#[\w-]*\)|:::.*|\|:[-:|]*"
    return len(re.findall(r"[^\W\d_]{2,}", re.sub(hidden, "", markdown)))


def joined(parts: Iterable[str]) -> str:
    """Return Markdown blocks one after the other."""
    text = "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
    return re.sub(r"\n{3,}", "\n\n", text)


def drawn(name: str, results: StudyResults) -> list[Drawing]:
    """Return the drawings of a figure, down to their last line."""
    drawings = draw(name, results)
    for drawing in drawings:
        _ = drawing.svg, drawing.narrow_svg
    return drawings


def modules(section: str) -> dict[str, types.SimpleNamespace]:
    """Return the modules of a section's folder that its template uses.

    Where one of their functions fails, its note takes the place of its result.
    """
    package = registry.module("report/sections", section)
    return {
        name: guarded(importlib.import_module(f"{package}.{name}"))
        for name in MODULES
        if (registry.folder(section) / f"{name}.py").is_file()
    }


def guarded(module: types.ModuleType) -> types.SimpleNamespace:
    """Return a module's contents, its functions with a note for a result where they fail."""

    def guard(function: types.FunctionType) -> Callable[..., Any]:
        what = f"{function.__name__.replace('_', ' ').capitalize()}"
        return lambda *given: attempt(what, lambda: function(*given))

    return types.SimpleNamespace(
        **{
            name: guard(found) if isinstance(found, types.FunctionType) else found
            for name, found in vars(module).items()
        }
    )


def asked_difference(claim: dict[str, Any]) -> bool:
    """Return True if a claim tests a difference of percentages that a question asks for."""
    contrast = claim["contrast"] if claim["kind"] == Kind.QUESTION else None
    return bool(
        contrast and claim["interval"] and metric(contrast["metric"]).unit == "%"
    )


def told(claims: Sequence[dict[str, Any]]) -> str:
    """Return tested claims in one sentence: how many have which verdict, and where they are."""
    verdicts = Counter(claim["verdict"] for claim in claims)
    ends = [escape(f"{n} {verdict}") for verdict, n in verdicts.most_common()]
    numbers = listed(
        (f"[C{c['number']}](#claim-{c['number']})" for c in claims), most=len(claims)
    )
    return f"{len(claims)} more comparisons: {listed(ends)} ({numbers})."
