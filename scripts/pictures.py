"""Record a running study for the README: `python scripts/pictures.py <study>`.

Waits until the study, started in another terminal, has trained a third of its runs, and
writes docs/terminal.svg, what the terminal shows then, and docs/live.png, its live page.
"""

import io
import re
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from samples import picture

from labmill.core.paths import CHECKOUT
from labmill.plan.plan import Plan
from labmill.watch.board import TRAINING
from labmill.watch.page import write_page
from labmill.watch.study_files import EVERY, StudyFiles
from labmill.watch.terminal import view
from labmill.workflow.targets import study_file

DOCS = CHECKOUT / "docs"
COLUMNS, LINES = 90, 24
LARGEST = 150_000  # bytes of a picture
# A picture must not fetch a font when it is shown.
FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


def main(study: str) -> None:
    """Wait for a telling moment of a running study, and record it."""
    files = StudyFiles(Plan(study_file(study)))
    while not telling(files):
        time.sleep(EVERY)
        files.look()
    with tempfile.TemporaryDirectory() as temporary:
        page = Path(temporary, "live.html")
        write_page(page, files)
        picture(page, DOCS / "live.png")
    files.board.head = ""  # names this machine
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, height=LINES)
    console.print(f"$ make study NAME={study}", style="bold")
    console.print(view(files.board, COLUMNS, LINES))
    drawing = FONT.sub("", console.export_svg(title=f"{study}, while it runs"))
    lines = [line.rstrip() for line in drawing.splitlines()]
    (DOCS / "terminal.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for path in (DOCS / "live.png", DOCS / "terminal.svg"):
        if path.stat().st_size > LARGEST:
            sys.exit(f"{path}: {path.stat().st_size} bytes, above {LARGEST}")


def telling(files: StudyFiles) -> bool:
    """Return True if a third of the runs are trained and others train right now."""
    board = files.board
    trained = sum(board.ended[rule] for rule in TRAINING)
    runs = sum(board.planned[rule] for rule in TRAINING)
    now = [job for job in board.running.values() if job.rule in TRAINING and job.curve]
    return 3 * trained >= runs and len(now) > 1


if __name__ == "__main__":
    main(sys.argv[1])
