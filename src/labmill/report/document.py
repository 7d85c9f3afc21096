"""The report as Markdown: sections in order, numbered figures and tables, references."""

import re
from collections.abc import Iterable
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from labmill import registry
from labmill.errors import LabmillError, suggest
from labmill.report import arithmetic, contents, profiles, prose
from labmill.report.claims.words import listed, named
from labmill.report.figures import Drawing, draw
from labmill.report.headlines import headlines
from labmill.report.render import COMMENTS, environment, harmless
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import Markdown, escape, format_for
from labmill.sections import SECTIONS

# What the claims of a section of claims.json are about.
SUBJECTS = {
    "ranking": "Which variant is best",
    "compare": "Effects of single factors",
    "classes": "Classes and errors",
    "curves": "End of training",
    "represent": "Pretext tasks and mixing weights",
    "failures": "Did every run finish?",
    "published": "Published figures",
    "examine": "What layers know and look at",
}
# So many answers stand in the Summary.
HEADLINES = 8
# A section of the author's own stands before these.
LAST = ("limits", "references", "appendix")


class Document:
    """Builds report.md and collects the figures on the way.

    Attributes:
        drawings: what has been drawn, by file name without its ending.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.drawings: dict[str, Drawing] = {}
        self.drawn: set[str] = set()
        self.numbers: dict[str, str] = {}
        self.printed: set[str] = set()
        self.answered: set[str] = set()
        self.figures = self.tables = 0
        self.templates = environment("md")
        self.templates.globals |= {
            "results": results,
            "study": results.study,
            "tables": contents,
            "arithmetic": arithmetic,
            "profiles": profiles,
            "figure": self.figure,
            "table": self.table,
            "see": self.see,
            "md": Markdown,
            "claims": self.claims,
            "headlines": headlines(results.numbered, HEADLINES),
            "observations": self.observations,
            "asked": self.asked,
            "named": lambda name: Markdown(named(name)),
            "verdict": verdict,
            "cited": cited,
            "wanted": self.wanted,
            "prose": prose,
            "question": harmless(results.study["question"], "question"),
        }
        self.templates.filters["thousands"] = lambda n: f"{n:,}"

    def markdown(self) -> str:
        """The whole document."""
        head = self.templates.get_template("report.md.j2").render()
        parts = [head, *(self.section(name) for name in self.order())]
        text = "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
        return re.sub(r"\n{3,}", "\n\n", text)

    def order(self) -> list[str]:
        """The sections of this report, in order."""
        report = self.results.study["report"]
        own = [name for name in report["text"] if name not in SECTIONS]
        if report["sections"] is None:
            known = list(SECTIONS)
            at = known.index(LAST[0])
            return [*known[:at], *own, *known[at:]]
        return list(report["sections"])

    def section(self, name: str) -> str:
        """A section with its heading, or nothing where it has no content."""
        body = self.words(name)
        if name in SECTIONS:
            computed = self.templates.get_template(f"{name}.md.j2").render().strip()
            body = "\n\n".join(part for part in (body, computed) if part)
        if not body:
            return ""
        heading = SECTIONS.get(name) or name.replace("_", " ").capitalize()
        anchor = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        return f"## {escape(heading)} {{#section-{anchor}}}\n\n{body}"

    def words(self, name: str) -> str:
        """The author's own Markdown of a section, numbers filled in."""
        text = self.results.study["report"]["text"].get(name, "")
        where = f"report.text.{name}"
        return harmless(self.filled(text, where), where)

    def filled(self, text: str, where: str) -> str:
        """Markdown in which `{{ result(variant, figure) }}` has become a number."""

        def result(*asked: str) -> Markdown:
            if len(asked) != 2:
                raise LabmillError(
                    f"{where}: a number needs a variant and a figure, as in "
                    '{{ result("cnn", "test_accuracy") }}; found '
                    f"{len(asked)} of the two"
                )
            value = self.results.result(*asked, where)
            return Markdown(format_for(asked[1])(value))

        sandbox = SandboxedEnvironment(undefined=jinja2.StrictUndefined, **COMMENTS)
        try:
            return sandbox.from_string(text).render(result=result)
        except LabmillError:
            raise
        except Exception as error:
            raise LabmillError(
                f"{where}: {error}; numbers are written "
                '{{ result("variant", "figure") }}'
            ) from error

    def figure(self, name: str) -> Markdown:
        """A figure with number and caption, or nothing where it has no content."""
        if name in self.drawn:
            return Markdown("")
        drawings = draw(name, self.results)
        self.drawn.add(name)
        blocks = []
        for drawing in drawings:
            self.figures += 1
            self.number("fig", name, f"Figure {self.figures}", drawing.name)
            self.drawings[drawing.name] = drawing
            alt = re.sub(r'[\\"]', "'", drawing.alt)
            blocks.append(
                f"![**Figure {self.figures}.** {escape(drawing.caption)}]"
                f'(figures/{drawing.name}.svg){{#fig-{drawing.name} alt="{alt}"}}'
            )
        return Markdown("\n\n".join(blocks))

    def table(self, table: Table | None, name: str = "") -> Markdown:
        """A table with number and caption; a wide one in several parts."""
        if table is None or not table.rows:
            return Markdown("")
        blocks = []
        for part in table.split():
            self.tables += 1
            self.number("tbl", name, f"Table {self.tables}", str(self.tables))
            anchor = f" {{#tbl-{self.tables}}}"
            caption = f": **Table {self.tables}.** {escape(part.caption)}{anchor}"
            blocks.append(f"{part.markdown()}\n\n{caption}")
        return Markdown("\n\n".join(blocks))

    def number(self, kind: str, name: str, words: str, anchor: str) -> None:
        """Remember what a reference to a figure or table says and leads to: its first part."""
        self.numbers.setdefault(f"{kind}-{name}", f"[{words}](#{kind}-{anchor})")

    def see(self, *shown: tuple[str, str]) -> Markdown:
        """`Figure 4 shows …, Table 7 … and …`: of what stands in the report already."""
        parts = [
            f"{self.numbers[name]} {words}"
            for name, words in shown
            if name in self.numbers
        ]
        if not parts:
            return Markdown("")
        first, *rest = parts
        return Markdown(listed([first.replace(") ", ") shows ", 1), *rest]) + ".")

    def wanted(self) -> Iterable[str]:
        """The figures that the study asks for by name and that are not drawn yet."""
        for name in self.results.study["figures"]:
            if name not in registry.names("report/figures"):
                known = suggest(name, registry.names("report/figures"))
                raise LabmillError(f"figures: found {name!r}; {known}")
            if name not in self.drawn:
                yield name

    # --- claims ------------------------------------------------------------------------

    def asked(self, claim: dict[str, Any]) -> Markdown:
        """The study's question before its first answer, or nothing."""
        name = claim["about"] if claim["section"] == "compare" else None
        question = self.results.study["compare"].get(name, {}).get("question")
        if not question or name in self.answered:
            return Markdown("")
        self.answered.add(name)
        return Markdown(f"*{escape(question)}* ")

    def claims(self, start: str = "", section: str = "") -> Markdown:
        """The claims of a section, or whose id starts like that, not printed yet."""
        found = [
            claim
            for claim in self.results.numbered
            if claim["id"].startswith(start)
            and section in ("", claim["section"])
            and claim["id"] not in self.printed
        ]
        self.printed.update(claim["id"] for claim in found)
        return Markdown(
            "\n".join(
                f"- **C{claim['number']}.** [{claim['statement']}]"
                f"{{#claim-{claim['number']}}}{verdict(claim)}"
                for claim in found
            )
        )

    def observations(self) -> Markdown:
        """All claims that no other section has printed, by subject."""
        blocks = []
        for subject in dict.fromkeys(c["section"] for c in self.results.numbered):
            if mine := self.claims(section=subject):
                heading = SUBJECTS.get(subject) or subject.capitalize()
                if subject == "ranking" and len(self.results.variants) == 1:
                    heading = "How well the network does"
                blocks += [f"### {escape(heading)}", mine]
        return Markdown("\n\n".join(blocks))


def verdict(claim: dict[str, Any]) -> Markdown:
    """A claim's verdict as a tag, where a test gave one."""
    return Markdown(f" [{claim['verdict']}]{{.verdict}}" if claim["verdict"] else "")


def cited(claim: dict[str, Any]) -> Markdown:
    """A link to the claim in full."""
    return Markdown(f"[\\[C{claim['number']}\\]](#claim-{claim['number']})")
