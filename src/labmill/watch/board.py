"""What runs, what is done and how long the rest will take: the state behind every view."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import exp
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
# An estimate moves towards a new one in so many seconds, or this share of the
# time left.
STEADY, STEADY_SHARE = 5.0, 1 / 100
# What a training expects of itself is an estimate after so much of it, or so many seconds.
TOLD, TOLD_AFTER = 0.1, 20.0
# A job that takes longer than others did is taken to need a part of its time again.
OVERDUE = 0.2
# Of finished jobs of a kind, how many show how long they take.
SAMPLES, KEPT_SAMPLES = 20, 2
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
    steps: str = ""  # of its prune loop: `of 3`
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
            step = f"step {w.get('step')} {self.steps}".strip()
            parts.append(step if "step" in w else w["control"])
        return " ".join(part for part in parts if part)

    @property
    def output(self) -> str:
        """The file that stands for the job."""
        return next(iter(self.outputs), "")

    @property
    def line(self) -> str:
        """Whose job it is and, where that has no epochs, what it does now."""
        at = self.state
        if at is None:
            return f"{self.title}: waiting to start"
        return f"{self.title}: {at.doing}" if at.doing and not at.epochs else self.title

    @property
    def kind(self) -> tuple[str, str]:
        """Its rule and variant: jobs of one kind take about as long."""
        return self.rule, self.wildcards.get("variant", "")

    @property
    def whole(self) -> float | None:
        """How long a training expects to take from its first epoch to its last."""
        at = self.state
        if not (at and at.seconds_left and at.done and at.done < 1):
            return None
        if at.done < TOLD and self.seconds < TOLD_AFTER:
            return None
        return at.seconds_left / (1 - at.done)

    def left(self, needed: float) -> float:
        """Return the seconds that it still takes, where such jobs need so many in all.

        The further a training is, the more its own speed counts.
        """
        if not self.began:
            return needed
        if self.whole and (done := self.state and self.state.done):
            return (1 - done) * (done * self.whole + (1 - done) * needed)
        return max(needed - self.seconds, OVERDUE * self.seconds)

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
        waiting: jobs that will run, by their first output; checkpoints add some.
        work: seconds × threads of the last finished jobs, by kind.
        curves: variant → seed → epochs of the finished training.
        kept: jobs that were done before this call, by their first output; they count.
    """

    cores: int = 0  # of this machine; 0 where others decide how many jobs run
    total: int = 0
    done: int = 0
    waiting: dict[str, Job] = field(default_factory=dict)
    running: dict[int, Job] = field(default_factory=dict)
    failed: list[Job] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    work: dict[tuple[str, str], deque[float]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=SAMPLES))
    )
    curves: dict[str, dict[str, tuple[Point, ...]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    kept: dict[str, Job] = field(default_factory=dict)
    began: float = field(default_factory=time.time)
    idle: bool = False  # nothing runs and nothing will, until somebody starts it again
    head: str = ""  # a line about the whole, such as the queue of a cluster
    read: float = 0.0
    used: int = 0  # most threads of jobs that ran at once
    shown: float | None = None  # the last estimate
    shown_at: float = 0.0

    def start(self, number: int, job: Job) -> None:
        """Add a job that was handed to the executor."""
        job.began = job.began or time.time()
        self.running[number] = job
        self.waiting.pop(job.output, None)
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
            self.kept[job.output] = job
            self.keep_curve(job)
            # So many files show how long jobs of this kind take.
            if len(self.work[job.kind]) < KEPT_SAMPLES and (at := read_state(job.log)):
                self.work[job.kind].append(at.seconds * job.threads)

    def finish(self, number: int) -> Job | None:
        """Move a running job to the finished ones; return it."""
        job = self.running.pop(number, None)
        if job is None:
            return None
        job.ended = job.ended or time.time()
        self.ended[job.rule] += 1
        self.work[job.kind].append(job.seconds * job.threads)
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

        It falls with the clock, and approaches what is known now by little steps.
        """
        now, found = time.time(), self.expected_seconds()
        if found is not None and self.shown is not None:
            passed = now - self.shown_at
            due = max(0.0, self.shown - passed)
            found = due + (found - due) * (
                1 - exp(-passed / max(STEADY, due * STEADY_SHARE))
            )
        self.shown, self.shown_at = found, now
        return found

    def expected_seconds(self) -> float | None:
        """Return the seconds that the rest takes by what is known at this moment.

        Cores share the work, but one run's trainings follow each other, and the jobs of
        the whole study run alone. How long trainings take, only trainings show.
        """
        running = list(self.running.values())
        needed = self.needed(running)
        work, alone = 0.0, 0.0
        runs: dict[tuple[str, str], float] = defaultdict(float)
        for job in [*running, *list(self.waiting.values())]:
            if self.idle or (found := needed(job)) is None:
                return None
            seconds = job.left(found / job.threads)
            if job.rule in WHOLE:
                alone += seconds
                continue
            work += seconds * job.threads
            if job.rule in TRAINED:
                runs[job.wildcards["variant"], job.wildcards["seed"]] += seconds
        self.used = max(self.used, sum(job.threads for job in running), 1)
        longest = max(runs.values(), default=0.0)
        return max(work / (self.cores or self.used), longest) + alone

    def needed(self, running: list[Job]) -> Callable[[Job], float | None]:
        """Return the seconds × threads of a job: of others of its kind, or its rule.

        Without any: of its variant's training, else of any; of other rules, as assumed.
        """
        samples = {kind: list(times) for kind, times in self.work.items() if times}
        for job in running:
            if job.kind not in samples and (whole := job.whole):
                samples[job.kind] = [whole * job.threads]
        kinds = {kind: mean(times) for kind, times in samples.items()}
        by_rule: dict[str, list[float]] = defaultdict(list)
        for (rule, _), seconds in kinds.items():
            by_rule[rule].append(seconds)
        rules = {rule: mean(times) for rule, times in by_rule.items()}
        trainings = {kind: kinds[kind] for kind in kinds if kind[0] in TRAINING}
        variants = {variant: seconds for (_, variant), seconds in trainings.items()}
        usual = mean(trainings.values()) if trainings else None

        def of(job: Job) -> float | None:
            known = kinds.get(job.kind, rules.get(job.rule))
            if known is None and job.rule in TRAINED:
                return variants.get(job.kind[1], usual)
            return assumed_seconds(job.rule) * job.threads if known is None else known

        return of


def time_left(seconds: float | None) -> str:
    """Say how long the rest will take, as far as that is known."""
    if seconds is None:
        return "time left: not known yet"
    # Its last digits would be no news.
    seconds = 5 * round(seconds / 5)
    return f"about {duration(seconds)} left" if seconds else "almost done"


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
