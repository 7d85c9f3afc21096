"""The end of a study in a few lines: its answers, and where the report is."""

from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.files import read_json

ANSWERS = 3
SMOKE = "A smoke run shows that everything works; its numbers are no result."


def ending(report: Path) -> list[str]:
    """Return the first answers of a report, its files, and what can be done next."""
    study = report.parent.relative_to("results") if not report.is_absolute() else report
    path = study.as_posix()
    check = make_command("verify", path) or f"labmill verify {path}"
    return [
        *answers(report.with_suffix(".json")),
        *([SMOKE] if study.parts[0] == "smoke" else ()),
        f"Report: {report} and {report.with_suffix('.pdf').name}",
        f"Next: open it; {check} recomputes it from the predictions.",
    ]


def make_command(target: str, study_path: str) -> str:
    """Return the command of labmill's Makefile; nothing outside of its checkout."""
    if not (Path("Makefile").is_file() and Path("src/labmill").is_dir()):
        return ""
    scale, _, name = study_path.rpartition("/")
    return f"make {target} NAME={name}" + (f" SCALE={scale}" if scale else "")


def answers(record: Path) -> list[str]:
    """Return the answer of a report and its first rows, as plain text.

    record: report.json.
    """
    from labmill.report.text import unescaped

    try:
        found = read_json(record)
    except (OSError, LabmillError):
        return []
    lines = [found.get("sentence", "")]
    for row in found.get("answers", ())[:ANSWERS]:
        number = f" ({row['number']})" if row["number"] else ""
        lines.append(f"- {row['question']} {row['answer']}{number}")
    return [unescaped(line) for line in lines if line]
