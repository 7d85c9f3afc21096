"""A table as data, and as Markdown that fits a page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from labmill.report.text import Markdown, escape

# Characters across the page at the size of the tables' type.
PAGE = 120


@dataclass(frozen=True)
class Table:
    """Cells as text. The first column names the row; `align` is one letter a column."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str
    align: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def alignment(self) -> str:
        """Left for the first column, right for the others, unless said otherwise."""
        return self.align or "l" + "r" * (len(self.columns) - 1)

    def widths(self) -> list[int]:
        """Characters that each column needs: its longest cell, as far as it cannot
        wrap, and its heading's longest word."""
        return [
            max(
                *(unbroken(len(str(row[i]))) for row in self.rows),
                *(len(word) for word in str(heading).split()),
            )
            + 2
            for i, heading in enumerate(self.columns)
        ]

    def split(self) -> list["Table"]:
        """Tables that each fit the page: the first column, and some of the others.

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
                    [row[i] for i in (0, *group)]
                    for row in self.rows
                    if any(row[i] != "–" for i in group)
                ],
                f"{self.caption} (part {number} of {len(groups)})",
                "".join(self.alignment[i] for i in (0, *group)),
                self.notes if number == len(groups) else (),
            )
            for number, group in enumerate(groups, 1)
        ]

    def markdown(self) -> Markdown:
        """A pipe table without its caption."""
        rules = {"l": ":---", "r": "---:", "c": ":---:"}
        lines = [
            line(self.columns),
            line([Markdown(rules[a]) for a in self.alignment]),
            *map(line, self.rows),
        ]
        return Markdown("\n".join(lines))


def unbroken(length: int) -> int:
    """Characters across that a cell asks for: what is longer goes on two lines or more."""
    return min(length, 28) if length <= 56 else 40


def line(cells: Sequence[Any]) -> str:
    """One row; an empty cell would end a table that has only one column."""
    return "| " + " | ".join(escape(cell) or "\u00a0" for cell in cells) + " |"
