"""`labmill watch`: follow a study by its files until it is done."""

import sys
import time
from pathlib import Path

from labmill.plan.plan import Plan
from labmill.watch.ending import ending
from labmill.watch.study_files import EVERY, StudyFiles
from labmill.watch.terminal import Terminal, screen, show, view

# Seconds between two versions of the page.
PAGE_EVERY = 5.0


def follow(plan: Plan, page: Path | None = None) -> None:
    """Show a study until it is complete; without a terminal, print the view once.

    Args:
        plan: of the study.
        page: an HTML page to write again and again.
    """
    files, console = StudyFiles(plan), screen()
    files.look()
    if not (console.is_terminal or page):
        console.print(view(files.board, console.width, len(files.jobs) + 100))
        return
    if page:
        show(f"Page: {page}")
    terminal = Terminal(files.board, console) if console.is_terminal else None
    try:
        written = 0.0
        while True:
            if page and time.monotonic() - written >= PAGE_EVERY:
                write(page, files)
                written = time.monotonic()
            if files.complete:
                break
            time.sleep(EVERY)
            files.look()
        if page:
            write(page, files)
    except KeyboardInterrupt:
        print(
            f"No longer watching {plan.study_path}; its jobs are not affected.",
            file=sys.stderr,
        )
        return
    finally:
        if terminal:
            terminal.close()
    for line in ending(files.report):
        show(line)


def write(page: Path, files: StudyFiles) -> None:
    """Write the page, which needs more libraries than the terminal."""
    from labmill.watch.page import write_page

    write_page(page, files)
