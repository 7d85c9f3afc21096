"""What runs, what is done and how long the rest will take: the state behind every view."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from labmill.cluster.cost_estimate import assumed_seconds
from labmill.core.csv_tables import read_table
from labmill.core.errors import LabmillError
from labmill.core.progress import (
    EVERY,
    JobState,
    Point,
    duration,
    read_state,
    thinned,
)
from labmill.plan.plan import TRAINED

# Rules whose end says something about a variant.
TRAINING = {"train", "pretrain"}
# What the jobs of a whole study do, in words.
WHOLE = {
    "split": "split the images",
    "split_for_seed": "split the images",
    "decide": "decide who gets more seeds",
    "summarize": "summarize the results",
    "report": "write the report",
    "overview": "write the list of studies",
}


@dataclass
class Job:
    """One job of the workflow.

    Attributes:
        began, ended: seconds since the epoch.
    """

    rule: str
    wildcards: dict[str, str]
    log: str = ""
    outputs: list[str] = field(default_factory=list)  # files that it writes
    threads: int = 1
    began: float = 0.0
    ended: float | None = None
    state: JobState | None = None  # what it published last

    @property
    def title(self) -> str:
        """Whose job it is: `train cnn seed 1`."""
        w = self.wildcards
        name = WHOLE.get(self.rule, self.rule)
        parts = [name, w.get("variant") or w.get("search") or w.get("dataset")]
        if "seed" in w:
            parts.append(f"seed {w['seed']}")
        stage = w.get("stage")
        parts.append(stage if stage not in (None, "dense") else None)
        parts.append(f"round {w['round']}" if "round" in w else None)
        if "loop" in w:
            parts.append(w["loop"] if w["loop"] != self.rule else None)
            parts.append(f"step {w['step']}" if "step" in w else w["control"])
        return " ".join(part for part in parts if part)

    @property
    def seconds(self) -> float:
        """How long the job has run."""
        return (self.ended or time.time()) - self.began

    @property
    def curve(self) -> tuple[Point, ...]:
        """The epochs of a training: of a finished one as in its history.csv."""
        for path in self.outputs if self.ended else ():
            if Path(path).name == "history.csv":
                try:
                    return thinned(
                        (row["epoch"], row["train_loss"], row["validation_accuracy"])
                        for row in read_table(path)
                    )
                except (OSError, KeyError, LabmillError):
                    return ()
        return self.state.curve if self.state else ()


@dataclass
class Board:
    """All jobs of one call of Snakemake, or of one study.

    Attributes:
        planned: jobs by rule, as planned at the start; checkpoints add to `total`.
        work: seconds × threads of the finished jobs, by rule.
        curves: variant → seed → epochs of the finished training.
        kept: jobs that were done before this call, by their first output; they count.
    """

    cores: int = 0  # of this machine; 0 where others decide how many jobs run
    total: int = 0
    done: int = 0
    planned: Counter[str] = field(default_factory=Counter)
    running: dict[int, Job] = field(default_factory=dict)
    failed: list[Job] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    work: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    curves: dict[str, dict[str, tuple[Point, ...]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    kept: dict[str, Job] = field(default_factory=dict)
    began: float = field(default_factory=time.time)
    idle: bool = False  # nothing runs and nothing will, until somebody starts it again
    head: str = ""  # a line about the whole, such as the queue of a cluster
    read: float = 0.0

    def start(self, number: int, job: Job) -> None:
        """Add a job that was handed to the executor."""
        job.began = job.began or time.time()
        self.running[number] = job
        for path in self.kept.keys() & set(job.outputs):
            # It was not known that it must run again.
            del self.kept[path]
            self.done, self.total = self.done - 1, self.total - 1
            if job.rule in TRAINING:
                self.curves[job.wildcards["variant"]].pop(job.wildcards["seed"], ())

    def keep(self, jobs: Iterable[Job]) -> None:
        """Count jobs that were done before, and show what their trainings reached."""
        for job in jobs:
            job.ended = job.ended or time.time()
            self.kept[job.outputs[0]] = job
            self.keep_curve(job)

    def finish(self, number: int) -> Job | None:
        """Move a running job to the finished ones; return it."""
        job = self.running.pop(number, None)
        if job is None:
            return None
        job.ended = job.ended or time.time()
        self.ended[job.rule] += 1
        self.work[job.rule].append(job.seconds * job.threads)
        self.keep_curve(job)
        return job

    def keep_curve(self, job: Job) -> None:
        """Keep the epochs of a finished training."""
        if job.rule in TRAINING and (curve := job.curve):
            self.curves[job.wildcards["variant"]][job.wildcards["seed"]] = curve

    def fail(self, number: int) -> Job | None:
        """Move a running job to the failed ones; return it."""
        job = self.running.pop(number, None)
        if job is not None:
            job.ended = time.time()
            self.failed.append(job)
        return job

    def refresh(self) -> None:
        """Read what the running jobs published, at most once a second."""
        if time.monotonic() - self.read >= EVERY:
            self.read = time.monotonic()
            for job in list(self.running.values()):
                state = read_state(job.log) if job.log else None
                # Before a job has begun to publish, the file is of its last attempt.
                job.state = state if state and state.runs() else None

    def trainings(self) -> dict[str, dict[str, tuple[Point, ...]]]:
        """Return variant → seed → epochs, those of running trainings too."""
        found = {name: dict(by_seed) for name, by_seed in self.curves.items()}
        for job in list(self.running.values()):
            if job.rule in TRAINING and (curve := job.curve):
                by_seed = found.setdefault(job.wildcards["variant"], {})
                by_seed[job.wildcards["seed"]] = curve
        return found

    def ranked(self) -> list[tuple[str, int, int, float]]:
        """Return variants by mean validation accuracy, the highest first.

        Name, finished seeds, those that run too, mean of the finished ones; after them,
        variants of which none is finished, with the mean of those that run.
        """
        found = []
        for name, by_seed in self.trainings().items():
            finished = self.curves.get(name, {})
            shown = (finished or by_seed).values()
            reached = [c[-1][2] for c in shown if c[-1][2] is not None]
            if reached:
                found.append((name, len(finished), len(by_seed), mean(reached)))
        return sorted(found, key=lambda row: (not row[1], -row[-1]))

    def seconds_left(self) -> float | None:
        """Estimate the seconds until all jobs are done; None where nothing shows it.

        A job is taken to need as long as others of its rule. How long trainings take,
        only trainings show; other jobs of an unknown rule take some seconds.
        """
        running = list(self.running.values())
        samples = {rule: list(times) for rule, times in self.work.items()}
        for job in running:
            if job.state and job.state.seconds_left and job.state.done:
                # Of the whole training: this one may have resumed in its middle.
                whole = job.state.seconds_left / (1 - job.state.done)
                samples.setdefault(job.rule, []).append(whole * job.threads)
        pending = Counter(job.rule for job in running)
        pending.update(self.planned - self.ended - pending)
        if self.idle or not pending or (TRAINING & pending.keys()) - samples.keys():
            return None
        typical = {rule: mean(times) for rule, times in samples.items()}
        trained = [typical[rule] for rule in TRAINING if rule in typical]
        for rule in TRAINED if trained else ():
            typical.setdefault(rule, max(trained))
        left = 0.0
        for job in running:
            if job.state and job.state.seconds_left is not None:
                left += job.state.seconds_left * job.threads
            else:
                whole = typical.get(job.rule) or assumed_seconds(job.rule)
                left += max(0.0, whole - job.seconds * job.threads)
        waiting = self.total - self.done - len(running)
        busy = Counter(job.rule for job in running)
        for rule, count in (self.planned - self.ended - busy).items():
            count = min(count, waiting)
            left += count * (typical.get(rule) or assumed_seconds(rule))
            waiting -= count
        left += max(0, waiting) * assumed_seconds("")
        return left / (self.cores or max(1, sum(job.threads for job in running)))


def time_left(seconds: float | None) -> str:
    """Say how long the rest will take, as far as that is known."""
    if seconds is None:
        return "time left: not known yet"
    return f"about {duration(seconds)} left" if seconds >= 1 else "almost done"


def seeds_so_far(finished: int, seeds: int) -> str:
    """Say how many seeds of a variant are finished and how many run.

    >>> seeds_so_far(2, 3)
    '2 done, 1 running'
    """
    counts = {"done": finished, "running": seeds - finished}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def accuracy_so_far(finished: int, accuracy: float) -> str:
    """Say the mean accuracy of a variant, of which some seeds may be finished."""
    return percent(accuracy) + ("" if finished else " so far")


def percent(share: float | None) -> str:
    """Say a fraction: `97.2 %`."""
    return "" if share is None else f"{share * 100:.1f} %"


def result(job: Job, board: Board) -> str:
    """Say what a finished job found: a training's validation accuracy, or nothing."""
    w = job.wildcards
    curve = board.curves.get(w.get("variant", ""), {}).get(w.get("seed", ""))
    if job.rule not in TRAINING or not curve or curve[-1][2] is None:
        return ""
    return f"{percent(curve[-1][2])} validation accuracy"
