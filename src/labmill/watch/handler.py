"""From Snakemake's log events to a view; `VERBOSE=1` gives Snakemake's own output."""

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake.logging import (
    ColorizingTextHandler,
    DefaultFilter,
    DefaultFormatter,
    logger,
)
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from labmill.core.logs import QUIET_JOBS
from labmill.core.progress import duration
from labmill.core.snakemake_internals import listed_jobs
from labmill.core.trees import Settings
from labmill.plan.plan import Plan
from labmill.watch.board import Board, Job
from labmill.watch.ending import ending
from labmill.watch.lines import Lines
from labmill.watch.study_files import described
from labmill.watch.terminal import Terminal, screen, show

LAST_LINES = 12
# Messages without an event that a user must see.
SHOWN = {NOTHING_TO_BE_DONE_MSG}
# What a user need not read: that a job failed, whose log has the reason, and that the
# command line changes a setting.
LEFT_OUT = re.compile(
    "RuleException:\nCalledProcessError|Exiting because a job execution failed"
    "|Config file .* is extended by additional config"
)
# Lines of errors that say where in the workflow, which is in Snakemake's log.
PLACE = re.compile(r'RuleException:|\w+ in file ".*", line \d+:|  File ".*", line \d+')


class LogHandler(LogHandlerBase):
    """Show the run of a study in the terminal, or as few lines where there is none."""

    # Of this process: Snakemake's workflow, and the plans by study path.
    workflow: ClassVar[Any] = None
    plans: ClassVar[Mapping[str, Plan]] = {}

    def __post_init__(self) -> None:
        """Choose the view."""
        settings = self.common_settings
        self.plain: logging.Handler | None = None
        self.said: set[str] = set()
        self.finished_report: Path | None = None
        if settings.dryrun or settings.verbose or os.environ.get("VERBOSE") == "1":
            self.plain = ColorizingTextHandler(
                nocolor=settings.nocolor,
                stream=sys.stdout if settings.stdout else sys.stderr,
                formatter=DefaultFormatter(settings.quiet, settings.show_failed_logs),
            )
            self.plain.addFilter(
                DefaultFilter(
                    settings.quiet,
                    settings.debug_dag,
                    settings.verbose,
                    settings.dryrun,
                    settings.printshellcmds,
                ).filter
            )
            return
        os.environ |= {QUIET_JOBS: "1", "TQDM_DISABLE": "1"}
        self.board = Board()
        self.view: Lines | Terminal | None = None
        self.stop = threading.Event()

    # Snakemake's plugin interface.
    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        if self.plain is not None:
            if self.plain.filter(record):
                self.plain.emit(record)
            return
        try:
            self.take(record)
        except Exception:
            self.handleError(record)

    def opened(self) -> Lines | Terminal:
        """Return the view, made when the first jobs are known."""
        if self.view is None:
            console = screen()
            if console.is_terminal and not console.is_dumb_terminal:
                self.view = Terminal(self.board, console)
            else:
                self.view = Lines(self.board, lambda text: print(text, file=sys.stderr))
                threading.Thread(target=self.ticking, daemon=True).start()
        return self.view

    def ticking(self) -> None:
        """Let the view write its line a minute."""
        while not self.stop.wait(5):
            if isinstance(self.view, Lines):
                self.view.tick()

    def take(self, record: logging.LogRecord) -> None:
        """Bring the board up to date and show what is worth a line."""
        board, event = self.board, getattr(record, "event", None)
        match event:
            case LogEvent.RUN_INFO:
                stats = getattr(record, "stats", None) or {}
                board.keep(self.list_jobs())
                board.done = len(board.kept)
                board.total = int(stats.get("total", 0)) + board.done
                self.opened().say(self.beginning())
            case LogEvent.RESOURCES_INFO:
                board.cores = getattr(record, "cores", None) or board.cores
            case LogEvent.JOB_INFO:
                board.start(int(record.__dict__["jobid"]), self.job_of(record.__dict__))
            case LogEvent.JOB_FINISHED:
                board.done += 1
                if job := board.finish(int(record.__dict__["job_id"])):
                    self.opened().finished(job)
                    self.remember(job)
            case LogEvent.PROGRESS:
                before, kept = board.total, len(board.kept)
                board.done = record.__dict__["done"] + kept
                board.total = record.__dict__["total"] + kept
                if board.total != before:  # what a checkpoint decided
                    self.list_jobs()
            case LogEvent.JOB_ERROR:
                job = board.fail(int(record.__dict__["jobid"]))
                if job is not None:
                    self.opened().say(failure(job))
            case None if record.levelno >= logging.WARNING or record.msg in SHOWN:
                self.once(str(record.msg))
            case LogEvent.ERROR:
                self.once(str(record.msg))

    def list_jobs(self) -> list[Job]:
        """Note the jobs that will run; return those that are done."""
        found = listed_jobs(self.workflow) if self.workflow else ()
        listed = [(self.job_of(values), runs) for values, runs in found]
        running = {job.output for job in self.board.running.values()}
        self.board.waiting = {
            job.output: job
            for job, runs in listed
            if runs and job.output not in running
        }
        return [job for job, runs in listed if not runs]

    def job_of(self, record: Settings) -> Job:
        """Return a job of Snakemake's."""
        job = Job(
            rule=record["rule_name"],
            wildcards={k: str(v) for k, v in dict(record["wildcards"]).items()},
            log=next(map(str, record["log"]), ""),
            outputs=[str(path).split(" (")[0] for path in record["output"]],
        )
        if plan := self.plans.get(job.wildcards.get("study", "")):
            described(job, plan)
        job.threads = record.get("threads", job.threads)
        return job

    def beginning(self) -> str:
        """Return the first line: how much there is to do, and where."""
        kept = len(self.board.kept)
        jobs = plural(self.board.total - kept, "job")
        cores = self.board.cores
        where = plural(cores, "core") if cores else "the cluster"
        logs = "".join(f" Snakemake's log: {path}" for path in full_logs())
        more = f"; {kept} more are done and kept" if kept else ""
        return (
            f"{jobs} on {where}{more}. Ctrl-C stops and saves; the same command "
            f"continues.{logs}"
        )

    def once(self, text: str) -> None:
        """Show a warning or an error the first time."""
        if LEFT_OUT.match(text):
            return
        lines = [line for line in text.splitlines() if not PLACE.match(line)]
        text = "\n".join(lines)
        if text and text not in self.said:
            self.said.add(text)
            self.opened().say(text)

    def remember(self, job: Job) -> None:
        """Keep the report that a job wrote, for the last lines."""
        for path in map(Path, job.outputs):
            if path.name == "report.html":
                self.finished_report = path

    def close(self) -> None:
        """Take the view away and say what was found and what to do next."""
        if self.plain is None and self.view is not None:
            self.stop.set()
            self.view.close()
            self.view = None
            for line in self.last_words():
                show(line)
        super().close()

    def last_words(self) -> list[str]:
        """Return the end of the output: answers, files, the next command."""
        board = self.board
        passed = duration(time.time() - board.began)
        if board.failed:
            titles = ", ".join(job.title for job in board.failed)
            return [
                f"{plural(len(board.failed), 'job')} failed ({titles}). Finished jobs are kept: "
                "after a correction the same command continues."
            ]
        if not 0 < board.total <= board.done:
            return []  # stopped, or nothing to do: others say so
        now = f", {board.done - len(board.kept)} of them now" if board.kept else ""
        done = f"{board.done} of {board.total} jobs done{now}, in {passed}."
        return [done, *(ending(self.finished_report) if self.finished_report else ())]


def full_logs() -> list[str]:
    """Return the files with all of Snakemake's output, relative to here."""
    files = [one for one in logger.handlers if isinstance(one, logging.FileHandler)]
    return [os.path.relpath(one.baseFilename) for one in files]


def plural(count: int, name: str) -> str:
    """Return a number and a noun: `1 job`, `2 jobs`."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def failure(job: Job) -> str:
    """Return a failed job's name, its error and the end of its log."""
    try:
        lines = Path(job.log).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    errors = [line for line in lines if "Error: " in line]
    shown = errors[-1:] if errors else lines[-LAST_LINES:]
    return "\n".join([f"{job.title} failed; its log: {job.log}", *shown])
