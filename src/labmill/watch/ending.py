"""The end of a study in a few lines: its answers, and where the report is."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.files import read_json
from labmill.core.trees import JsonObject

ANSWERS = 3
SMOKE = "A smoke run shows that everything works; its numbers are no result."


def ending(report: Path) -> list[str]:
    """Return the first answers of a report, its files, and what can be done next."""
    study = report.parent.relative_to("results") if not report.is_absolute() else report
    path = study.as_posix()
    check = make_command("verify", path) or f"labmill verify {path}"
    found, more = answers(report.with_suffix(".json"))
    with_more = f", with {more} more answer{'s' * (more > 1)}" if more else ""
    return [
        *found,
        *([SMOKE] if study.parts[0] == "smoke" else ()),
        f"Report{with_more}: {report} and {report.with_suffix('.pdf').name}",
        f"Next: open it; {check} recomputes it from the predictions.",
    ]


def make_command(target: str, study_path: str) -> str:
    """Return the command of labmill's Makefile; nothing outside of its checkout."""
    if not (Path("Makefile").is_file() and Path("src/labmill").is_dir()):
        return ""
    scale, _, name = study_path.rpartition("/")
    return f"make {target} NAME={name}" + (f" SCALE={scale}" if scale else "")


def answers(record: Path) -> tuple[list[str], int]:
    """Return the most important answers of a report as plain text, and how many more it has.

    record: report.json.
    """
    from labmill.report.text import unescaped

    try:
        found = read_json(record)
    except (OSError, LabmillError):
        return [], 0
    rows, first = found.get("answers", []), found.get("sentence", "")
    shown = most_important(rows)
    lines = []
    for row in shown:
        number = f" ({row['number']})" if row["number"] else ""
        lines.append(f"{row['question']} → {row['answer']}{number}")
    # The first sentence may be one of the answers in other words.
    if len(shown) < ANSWERS and first not in [row.get("sentence") for row in rows]:
        lines.insert(0, first)
    return [unescaped(line) for line in lines if line], len(rows) - len(shown)


def most_important(rows: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the first answers of a report, in its order.

    What is decided comes before what is not, and each topic once before any twice.
    """
    topics, ranks = Counter[str](), {}
    for position in sorted(
        range(len(rows)), key=lambda n: rows[n].get("headline") is None
    ):
        row = rows[position]
        topic = row.get("topic", "")
        ranks[position] = topics[topic] + (row.get("headline") is None), position
        topics[topic] += 1
    return [rows[n] for n in sorted(sorted(ranks, key=ranks.__getitem__)[:ANSWERS])]
