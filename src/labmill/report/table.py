"""A table as data, and as Markdown that fits a page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labmill.report.text import Markdown, escape

# Characters across the page at the size of the tables' type.
PAGE = 120
# What a picture in a cell takes, in characters.
PICTURE = re.compile(r"!\[\]\([^)]*\)\{[^}]*\}")
MARKED = re.compile(r"\[([^\]]*)\](?:\{[#.][\w-]+\}|\(#[\w-]+\))|\*\*([^*]+)\*\*")


@dataclass(frozen=True)
class Table:
    """Cells as text. The first column names the row; `align` is one letter a column."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str
    align: str = ""

    @property
    def alignment(self) -> str:
        """Left for the first column, right for the others, unless said otherwise."""
        return self.align or "l" + "r" * (len(self.columns) - 1)

    def widths(self) -> list[int]:
        """Return each column's width: its longest cell that cannot wrap, or heading word."""
        return [
            max(
                *(unbroken(len(visible(row[i]))) for row in self.rows),
                *(len(word) for word in str(heading).split()),
            )
            + 2
            for i, heading in enumerate(self.columns)
        ]

    def split(self) -> list["Table"]:
        """Return tables that each fit the page: the first column, and some of the others.

        No part has a row in which none of its columns says anything.
        """
        widths = self.widths()
        groups: list[list[int]] = [[]]
        room = PAGE - widths[0]
        for i in range(1, len(self.columns)):
            if groups[-1] and room < widths[i]:
                groups.append([])
                room = PAGE - widths[0]
            groups[-1].append(i)
            room -= widths[i]
        if len(groups) == 1:
            return [self]
        return [
            Table(
                [self.columns[i] for i in (0, *group)],
                [
                    [row[0] if number == 1 else visible(row[0])]
                    + [row[i] for i in group]
                    for row in self.rows
                    if any(row[i] != "–" for i in group)
                ],
                f"{self.caption} (part {number} of {len(groups)})",
                "".join(self.alignment[i] for i in (0, *group)),
            )
            for number, group in enumerate(groups, 1)
        ]

    def markdown(self) -> Markdown:
        """Return a pipe table without its caption."""
        rules = {"l": ":---", "r": "---:", "c": ":---:"}
        lines = [
            line(self.columns),
            line([Markdown(rules[a]) for a in self.alignment]),
            *map(line, self.rows),
        ]
        return Markdown("\n".join(lines))


def visible(cell: Any) -> str:
    """Return what a reader sees of a cell, without its marks."""
    if not isinstance(cell, Markdown):
        return str(cell)
    return MARKED.sub(r"\1\2", PICTURE.sub(18 * "x", cell))


def unbroken(length: int) -> int:
    """Return the width that a cell needs: longer text takes two lines or more."""
    return min(length, 28) if length <= 56 else 40


def line(cells: Sequence[Any]) -> str:
    """One row; an empty cell would end a table that has only one column."""
    return "| " + " | ".join(escape(cell) or "\u00a0" for cell in cells) + " |"
