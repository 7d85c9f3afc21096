"""What goes wrong on a cluster, on a real one: nothing is lost, nothing runs twice.

All faults happen in one story, as they do; each test then asks SLURM's own record, the
epochs that were trained, and the results about one of them. No fault waits for a time to
pass: runs wait at a gate (gate.py) until the harm is done.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.slurm_cluster import GPUS, Cluster, out
from helpers.slurm_controllers import Head, gated, same_results
from labmill.workflow.controller import JOBS_FAILED

EPOCHS = 20
STUDY = {
    "title": "Faults",
    "data": {"dataset": "digits", "limit": 200, "test_limit": 100},
    "defaults": {
        "model": {"name": "vit", "patch": 4, "dim": 8, "depth": 1, "heads": 2},
        "training": {"epochs": EPOCHS, "batch_size": 32, "learning_rate": 1e-3}
        | {"compile": "off", "precision": "fp32"},
    },
    "seeds": [0],
    "measure": {"batches": [1], "repeats": 3},
}
# All of one recipe and seed, so that one local run is the reference of each.
INTERRUPTED = ("limit", "cancelled", "requeued")
VARIANTS = (*INTERRUPTED, "memory", "hopeless", "unharmed")
FINISHED = (*INTERRUPTED, "memory", "unharmed")
RESOURCES = (
    "train:mem_mb=250 if wildcards.variant == 'hopeless' or "
    "(wildcards.variant == 'memory' and attempt == 1) else 3000",
    "train:runtime=30",
    # A minute ahead of the end.
    "train:slurm_extra=--signal=TERM@60",
    "train:cpus_per_task=1",
)
# Seconds that the story may take; a fault whose effect never comes fails here.
PATIENCE = 900


def study(*variants: str) -> dict[str, Any]:
    return STUDY | {"variants": {name: {} for name in variants}}


class Story:
    """Heads, and what was seen of the queue while they ran."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, root = cluster, gated(folder)
        extra = ("--retries", "2", "--set-resources", *RESOURCES)
        self.main = Head(folder / "main", study(*VARIANTS), *extra, root=root)
        self.lone = Head(folder / "lone", study("lone"), root=root)
        self.local = Head(
            folder / "local", study("unharmed"), "--cores", "2", root=root
        )
        self.seen: dict[int, str] = {}
        self.most = 0

    # --- what can be seen ----------------------------------------------------------------

    def look(self) -> None:
        """Note which jobs there are and how many GPUs are in use."""
        rows = self.cluster.queue()
        self.seen |= {number: comment for number, _, comment in rows}
        running = out("squeue", "-h", "-t", "running,completing", "-o", "%b")
        self.most = max(self.most, running.count("gpu:"))

    def until(self, condition: Callable[[], Any]) -> None:
        """Look until the condition holds."""
        while not condition():
            self.look()
            assert time.monotonic() < self.end, f"{self.main.output}{self.lone.output}"
            time.sleep(0.5)

    def in_state(self, state: str) -> set[int]:
        return {number for number, now, _ in self.cluster.queue() if now == state}

    def job(self, head: Head, variant: str) -> int:
        """The number of a variant's running job; 0 if none runs."""
        for number, state, comment in self.cluster.queue(head.directory):
            if state == "RUNNING" and comment.endswith(f"_s_{variant}_0"):
                return number
        return 0

    def trains(self, variant: str) -> int:
        """The number of a variant's job in the study if it is past its first epoch."""
        return self.job(self.main, variant) if self.main.trained(variant) else 0

    def jobs(self, head: Head, variant: str) -> list[tuple[int, str]]:
        """A variant's jobs as SLURM recorded their ends, in order: number, state."""
        return [
            (job.number, job.state)
            for job in self.cluster.record()
            if job.fields["WorkDir"] == str(head.directory)
            and self.seen.get(job.number, "").endswith(f"_s_{variant}_0")
        ]

    def ends(self, head: Head, variant: str) -> list[str]:
        return [state for _, state in self.jobs(head, variant)]

    # --- what happens --------------------------------------------------------------------

    def run(self) -> None:
        """Start everything, do the harm when each run trains, wait for the ends."""
        self.end = time.monotonic() + PATIENCE
        self.main.hold(*VARIANTS)
        self.lone.hold("lone")
        self.lone.start(*self.lone.targets("lone"))
        self.until(lambda: self.lone.trained("lone"))
        self.main.start("results/s/report.html")
        # The two GPUs are taken by runs that nobody has harmed yet, and others wait.
        calm = (*INTERRUPTED, "unharmed")
        self.until(lambda: any(self.trains(v) for v in calm))
        self.restart_controller()
        self.drain()
        self.main.release("unharmed")
        self.interrupt()
        self.until(lambda: self.main.ended)
        self.main_status = self.main.wait()
        self.local.start(*self.local.targets("unharmed"), profile="local")
        again = ("results/s/report.html", "--config", "partial=true")
        self.partial_status = self.main.start(*again).wait()
        self.local_status = self.local.wait()
        self.lone_status = self.lone.wait()

    def restart_controller(self) -> None:
        """Jobs go on and heads stay while the controller is away."""
        before = self.in_state("RUNNING")
        self.cluster.stop_controller()
        time.sleep(3)
        self.cluster.controller()
        self.restarted = before, self.in_state("RUNNING")

    def drain(self) -> None:
        """A head's session is closed while the node drains: its job ends, and its GPU stays free."""
        node = out("sinfo", "-h", "-o", "%n").split()[0]
        update = ["scontrol", "update", f"nodename={node}"]
        subprocess.run([*update, "state=drain", "reason=test"], check=True)
        before, number = self.in_state("RUNNING"), self.job(self.lone, "lone")
        self.lone.kill(signal.SIGHUP)
        self.lone.start(*self.lone.targets("lone"))
        self.until(lambda: "waiting for orphaned jobs" in self.lone.output)
        self.lone.release("lone")
        self.until(lambda: self.ends(self.lone, "lone"))
        # Some rounds of the scheduler, in which nothing may start.
        time.sleep(6)
        waiting = self.in_state("PENDING")
        self.drained = before - {number}, self.in_state("RUNNING"), waiting
        subprocess.run([*update, "state=resume"], check=True)

    def interrupt(self) -> None:
        """Each of the other faults, once its run trains; let go once it took effect."""
        harm = {
            "limit": self.shorten,
            "cancelled": lambda job: ["scancel", str(job)],
            "requeued": lambda job: ["scontrol", "requeue", str(job)],
        }
        held = {*harm, "memory"}

        def all_done() -> bool:
            for variant in list(harm):
                if job := self.trains(variant):
                    subprocess.run(harm.pop(variant)(job), check=True)
            for variant in held - set(harm):
                ended = variant == "memory" and self.ends(self.main, variant)
                if ended or self.main.saved(variant):
                    self.main.release(variant)
                    held.discard(variant)
            return not held

        self.until(all_done)

    def shorten(self, job: int) -> list[str]:
        """Let a job's time end within the next minute."""
        spent = out("squeue", "-h", "-j", str(job), "-o", "%M").strip()
        limit = int(spent.split(":")[-2]) + 1
        return ["scontrol", "update", f"jobid={job}", f"timelimit={limit}"]


@pytest.fixture(scope="module")
def story(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Story:
    told = Story(cluster, tmp_path_factory.mktemp("story"))
    told.run()
    return told


def resumed(head: Head, variant: str) -> list[list[int]]:
    """Where a run went on: [epoch, step] for each time."""
    return json.loads(head.file(variant, "model.json").read_text())["training"][
        "resumed_at"
    ]


def once_and_the_same(story: Story, head: Head, variant: str) -> bool:
    """One job of SLURM's ended the run, none trained an epoch that another had trained,
    and the results are a local run's, byte for byte."""
    jobs = story.jobs(head, variant)
    trained = head.trained(variant)
    finished = [number for number, state in jobs if state == "COMPLETED"]
    # What an out-of-memory kill took was never saved, and only that is trained again.
    kept = [e for e, job in trained if variant != "memory" or job in finished]
    return (
        len(finished) == 1
        and {job for _, job in trained} <= {number for number, _ in jobs}
        and trained[-1] == (EPOCHS, finished[0])
        and kept == list(range(1, EPOCHS + 1))
        and same_results(head, story.local, variant, "unharmed")
    )


def test_the_local_reference_ran_without_slurm(story):
    assert story.local_status == 0, story.local.output
    assert story.local.trained("unharmed") == [(n + 1, 0) for n in range(EPOCHS)]


def test_unharmed_runs_are_one_job_each_and_equal_a_local_run(story):
    assert story.ends(story.main, "unharmed") == ["COMPLETED"]
    assert resumed(story.main, "unharmed") == []
    assert once_and_the_same(story, story.main, "unharmed")


def test_out_of_memory_is_tried_again_with_more(story):
    *failed, last = story.ends(story.main, "memory")
    assert failed and set(failed) <= {"FAILED", "OUT_OF_MEMORY", "CANCELLED"}
    assert last == "COMPLETED"
    assert once_and_the_same(story, story.main, "memory")


def test_a_run_past_its_time_limit_goes_on_where_it_was(story):
    # FAILED, not TIMEOUT: the run left by itself, ahead of the end, with its state.
    assert story.ends(story.main, "limit") == ["FAILED", "COMPLETED"]
    assert len(resumed(story.main, "limit")) == 1
    assert resumed(story.main, "limit")[0][0] > 0
    assert once_and_the_same(story, story.main, "limit")


def test_a_cancelled_job_is_submitted_again_and_goes_on(story):
    assert story.ends(story.main, "cancelled") == ["CANCELLED", "COMPLETED"]
    assert len(resumed(story.main, "cancelled")) == 1
    assert resumed(story.main, "cancelled")[0][0] > 0
    assert once_and_the_same(story, story.main, "cancelled")


def test_a_requeued_job_goes_on(story):
    numbers = {number for number, _ in story.jobs(story.main, "requeued")}
    assert len(numbers) == 1 and story.ends(story.main, "requeued")[-1] == "COMPLETED"
    assert len(resumed(story.main, "requeued")) == 1
    assert once_and_the_same(story, story.main, "requeued")


def test_a_head_whose_session_closed_finds_its_jobs_and_submits_none_twice(story):
    assert story.lone_status == 0, story.lone.output
    assert "waiting for orphaned jobs" in story.lone.output
    assert story.ends(story.lone, "lone") == ["COMPLETED"]
    assert resumed(story.lone, "lone") == []
    assert once_and_the_same(story, story.lone, "lone")


def test_a_drained_node_keeps_its_jobs_and_gets_no_more(story):
    before, after, waiting = story.drained
    assert waiting and after == before and len(after) < GPUS
    # And when it was given back they ran.
    ended = {job.number for job in story.cluster.record() if job.start}
    assert waiting <= ended


def test_jobs_survive_a_restart_of_the_controller(story):
    before, after = story.restarted
    assert len(before) == GPUS and after == before


def test_a_run_that_fails_for_good_does_not_stop_the_others(story):
    assert story.main_status == JOBS_FAILED, story.main.output
    assert "COMPLETED" not in story.ends(story.main, "hopeless")
    assert len(story.ends(story.main, "hopeless")) == 3
    assert not story.main.file("hopeless", "model.safetensors").exists()
    assert all(story.main.file(v, "predictions.npz").exists() for v in FINISHED)


def test_the_report_says_which_run_failed_and_why(story):
    assert story.partial_status == 0, story.main.output
    report = (story.main.directory / "results/s/report.md").read_text()
    line = next(x for x in report.splitlines() if "hopeless" in x and "memory" in x)
    assert "train: killed by SLURM: out of memory" in line


def test_never_more_jobs_than_gpus(story):
    assert story.most == GPUS
    record = [job for job in story.cluster.record() if job.start]
    starts = [sum(j.start <= job.start < j.end for j in record) for job in record]
    assert max(starts) <= GPUS
