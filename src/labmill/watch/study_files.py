"""A board from a study's files: outputs, state files, and the queue of a cluster.

No process is asked, so that it also works after the main process was killed, and on
another machine.
"""

import os
import time
from collections import Counter
from pathlib import Path

from labmill.cluster.cost_estimate import threads
from labmill.cluster.failures import SLURM_LOGS
from labmill.cluster.orphaned_jobs import Queued, queued_jobs
from labmill.core.lock import controller_of
from labmill.core.progress import JobState, read_state
from labmill.plan.checkpoints import on_disk
from labmill.plan.outputs import planned_seeds
from labmill.plan.plan import Plan, PlannedJob
from labmill.plan.rerun_reasons import rerun_reason
from labmill.watch.board import Board, Job
from labmill.watch.ending import make_command

# Seconds between two looks at the files, and at the queue. A look reads at most two
# files of a job.
EVERY, QUEUE_EVERY = 2.0, 30.0
# A job's outputs appear so many seconds after its end, on a shared file system.
SETTLES = 90.0


class StudyFiles:
    """The jobs of a study, followed by their files.

    Args:
        plan: of the study.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.board = plan, Board()
        self.jobs: dict[str, tuple[PlannedJob, Job]] = {}
        self.numbers: dict[str, int] = {}
        self.finished: set[str] = set()
        self.checked: dict[str, float] = {}
        self.queue: Counter[str] = Counter()
        self.asked = -QUEUE_EVERY
        self.list_jobs()
        for output, (planned, job) in self.jobs.items():
            if not rerun_reason(planned.output, planned.job.record):
                self.finish(output, job, read_state(job.log))

    def list_jobs(self) -> None:
        """List the jobs; finished pruning steps decide how many follow."""
        planned_jobs = list(self.plan.jobs())
        for planned in planned_jobs:
            if planned.output not in self.jobs:
                self.numbers[planned.output] = len(self.numbers)
                self.jobs[planned.output] = planned, watched(planned, self.plan)
        self.board.total = len(planned_jobs)

    def look(self) -> None:
        """Bring the board up to date."""
        board = self.board
        before = len(self.finished)
        board.failed = []
        for output, (planned, job) in list(self.jobs.items()):
            if output in self.finished:
                continue
            job.state = state = read_state(job.log)
            number = self.numbers[output]
            if state and state.runs():
                job.began = state.began
                board.running[number] = job
                continue
            board.running.pop(number, None)
            if state and state.error:
                board.failed.append(job)
            elif self.made(planned, state):
                self.finish(output, job, state)
        if len(self.finished) > before:
            self.list_jobs()
        board.waiting = {
            output: job
            for output, (_, job) in self.jobs.items()
            if output not in self.finished and self.numbers[output] not in board.running
        }
        board.head = self.head()

    def made(self, planned: PlannedJob, state: JobState | None) -> bool:
        """Return True if a job has ended and its outputs are there and up to date."""
        if state is None or state.ended is None:
            return False
        old = time.time() - state.ended > SETTLES
        if old and self.checked.get(planned.output) == state.ended:
            return False
        self.checked[planned.output] = state.ended
        return not rerun_reason(planned.output, planned.job.record)

    def finish(self, output: str, job: Job, state: JobState | None) -> None:
        """Note a job whose outputs are there and up to date."""
        self.finished.add(output)
        self.board.done = len(self.finished)
        self.board.ended[job.rule] += 1
        job.ended = time.time()
        self.board.keep_curve(job)
        if state and state.ended:
            self.board.work[job.kind].append(state.seconds * job.threads)

    def head(self) -> str:
        """Return a line: which process runs the study, what waits in the queue."""
        name = self.plan.study_path
        process = controller_of(name)
        parts = [f"{name}: {process or 'no main process'}"]
        if SLURM_LOGS.exists() and time.monotonic() - self.asked > QUEUE_EVERY:
            self.asked = time.monotonic()
            try:
                self.queue = Counter(map(in_words, queued_jobs([name])))
            except OSError:
                self.queue = Counter({"SLURM does not answer": 0})
        self.board.idle = not (process or self.queue or self.board.running)
        if self.board.idle and not self.complete:
            parts = [f"{name}: nothing runs; {build_command(name)} continues"]
        if rounds := self.plan.study.rounds:
            looks = rounds.looks
            seeds = max(planned_seeds(self.plan, on_disk(self.plan)).values())
            number = f"round {looks.index(seeds) + 1} of at most {len(looks)}"
            parts.append(f"{number} ({seeds} seeds)")
        parts += [f"{count or ''} {why}".strip() for why, count in self.queue.items()]
        return "; ".join(parts)

    @property
    def complete(self) -> bool:
        """Whether all jobs of the study are done."""
        return len(self.finished) == self.board.total

    @property
    def report(self) -> Path:
        """The report, which is there when the study is complete."""
        return Path(self.plan.results, "report.html")


def build_command(study_path: str) -> str:
    """Return the command that builds a study."""
    scale, _, name = study_path.rpartition("/")
    own = f"labmill run {name}" + (f" --scale {scale}" if scale else "")
    return make_command("study", study_path) or own


def in_words(row: Queued) -> str:
    """Say the state of a job in the queue, and why it waits."""
    state = row.state.lower()
    return state if state == "running" else f"{state} ({row.reason})"


def watched(planned: PlannedJob, plan: Plan) -> Job:
    """Return the job of a view."""
    wildcards = dict(planned.wildcards)
    outputs = list(planned.outputs.values())
    return described(Job(planned.rule, wildcards, planned.log, outputs), plan)


def described(job: Job, plan: Plan) -> Job:
    """Add to a job its threads and the steps of its loop, by the plan of its study."""
    variant, loop = (job.wildcards.get(key, "") for key in ("variant", "loop"))
    job.threads = threads(plan, job.rule, variant, os.cpu_count() or 1)
    if pruning := plan.study.pruning.get(loop):
        most = "at most " if pruning.open_ended else ""
        job.steps = f"of {most}{pruning.steps}"
    return job
