"""What goes wrong on a cluster, on a real one: nothing is lost, nothing runs twice.

All faults happen while one study runs, as they do; each test then asks SLURM's own
record, and the weights, about one of them.
"""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cluster import GPUS, Cluster, out
from heads import Head

SHORT = {
    "epochs": 2000,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "compile": "off",
    "precision": "fp32",
}
LONG = {"epochs": 6000}
STUDY = {
    "title": "Faults",
    "data": {"dataset": "digits", "limit": 200, "test_limit": 100},
    "defaults": {
        "model": {"name": "vit", "patch": 4, "dim": 8, "depth": 1, "heads": 2},
        "training": SHORT,
    },
    "seeds": [0],
    "measure": {"batches": [1], "repeats": 3},
}
# All of one recipe and seed, so that one local run is the reference of each.
VARIANTS = ("memory", "cancelled", "requeued", "hopeless", "unharmed")
RESOURCES = (
    "train:mem_mb=250 if wildcards.variant == 'hopeless' or "
    "(wildcards.variant == 'memory' and attempt == 1) else 3000",
    "train:runtime=30",
    # A minute ahead of the end.
    "train:slurm_extra=--signal=TERM@60",
    "train:cpus_per_task=1",
)


def study(*variants: str) -> dict[str, Any]:
    return STUDY | {"variants": {name: {} for name in variants}}


LOCAL = [f"results/s/{v}/seed0/dense/model.safetensors" for v in ("limit", "unharmed")]


class Story:
    """Heads, and what was seen of the queue while they ran."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        main = study(*VARIANTS)
        main["variants"] = {"limit": {"training": LONG}} | main["variants"]
        extra = ("--retries", "2", "--set-resources", *RESOURCES)
        self.main = Head(folder / "main", main, *extra)
        self.lone = Head(folder / "lone", study("lone"))
        self.local = Head(folder / "local", main, "--cores", "2")
        self.seen: dict[int, str] = {}
        self.most = 0
        self.drained: tuple[set[int], set[int]] | None = None

    def look(self) -> None:
        """Note which jobs there are and how many GPUs are in use."""
        rows = self.cluster.queue()
        self.seen |= {number: comment for number, _, comment in rows}
        running = out("squeue", "-h", "-t", "running,completing", "-o", "%b")
        self.most = max(self.most, running.count("gpu:"))

    def job(self, head: Head, variant: str) -> int:
        """The number of a variant's running job; 0 if none runs."""
        for number, state, comment in self.cluster.queue(head.directory):
            if state == "RUNNING" and comment.endswith(f"_s_{variant}_0"):
                return number
        return 0

    def trains(self, head: Head, variant: str) -> bool:
        """Whether a variant's job is past its first epochs."""
        return bool(
            self.job(head, variant)
            and re.search(r"epoch \d\d+\.", head.training(variant))
        )

    def jobs(self, head: Head, variant: str) -> list[str]:
        """How SLURM recorded the ends of a variant's jobs, in order."""
        return [
            job.state
            for job in self.cluster.record()
            if job.fields["WorkDir"] == str(head.directory)
            and self.seen.get(job.number, "").endswith(f"_s_{variant}_0")
        ]

    def run(self) -> None:
        """Start everything, do the harm when each run trains, wait for the ends."""
        lone = "results/s/lone/seed0/dense/model.safetensors"
        harm = {
            (self.main, "limit"): self.shorten,
            (self.main, "cancelled"): self.cancel,
            (self.main, "requeued"): self.requeue,
            (self.lone, "lone"): lambda _: (self.lone.kill(), self.lone.start(lone)),
        }
        self.main.start("results/s/report.html")
        self.lone.start(lone)
        while not (self.main.ended and self.lone.ended):
            self.look()
            for head, variant in list(harm):
                if self.trains(head, variant):
                    harm.pop((head, variant))(self.job(head, variant))
            if not harm and self.local.process is None:
                self.local.start(*LOCAL, profile="local")
            time.sleep(0.3)
        self.missed = [variant for _, variant in harm]
        self.main_status = self.main.wait()
        again = ("results/s/report.html", "--config", "partial=true")
        self.partial_status = self.main.start(*again).wait()
        self.local_status = self.local.wait()

    def cancel(self, number: int) -> None:
        """scancel; then the controller goes away for a while, and the node drains."""
        subprocess.run(["scancel", str(number)], check=True)
        self.restart_controller()
        self.drain()

    def requeue(self, number: int) -> None:
        subprocess.run(["scontrol", "requeue", str(number)], check=True)

    def restart_controller(self) -> None:
        """Jobs go on and heads stay while the controller is away."""
        self.cluster.stop_controller()
        time.sleep(3)
        self.cluster.controller()

    def shorten(self, number: int) -> None:
        """Let a job's time end within the next minute."""
        spent = out("squeue", "-h", "-j", str(number), "-o", "%M").strip()
        limit = int(spent.split(":")[-2]) + 1
        update = ["scontrol", "update", f"jobid={number}", f"timelimit={limit}"]
        subprocess.run(update, check=True)

    def drain(self) -> None:
        """No job starts on a drained node, and those that run go on."""
        node = out("sinfo", "-h", "-o", "%n").strip()
        update = ["scontrol", "update", f"nodename={node}"]
        subprocess.run([*update, "state=drain", "reason=test"], check=True)
        before = self.running()
        time.sleep(6)
        self.drained = before, self.running()
        subprocess.run([*update, "state=resume"], check=True)

    def running(self) -> set[int]:
        return {n for n, state, _ in self.cluster.queue() if state == "RUNNING"}


@pytest.fixture(scope="module")
def story(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Story:
    told = Story(cluster, tmp_path_factory.mktemp("story"))
    try:
        told.run()
    finally:
        for head in (told.main, told.lone, told.local):
            if head.process and not head.ended:
                head.kill()
    return told


def same_weights(story: Story, head: Head, variant: str, as_: str = "unharmed") -> bool:
    mine = head.file(variant, "model.safetensors").read_bytes()
    return mine == story.local.file(as_, "model.safetensors").read_bytes()


def resumed(head: Head, variant: str) -> list[list[int]]:
    """Where a run went on: [epoch, step] for each time."""
    return json.loads(head.file(variant, "model.json").read_text())["training"][
        "resumed_at"
    ]


def test_all_harm_was_done_and_the_local_reference_is_whole(story):
    assert story.missed == []
    assert story.local_status == 0, story.local.output


def test_unharmed_runs_are_one_job_each_and_equal_a_local_run(story):
    assert story.jobs(story.main, "unharmed") == ["COMPLETED"]
    assert same_weights(story, story.main, "unharmed")


def test_out_of_memory_is_tried_again_with_more(story):
    *failed, last = story.jobs(story.main, "memory")
    assert failed and set(failed) <= {"FAILED", "OUT_OF_MEMORY", "CANCELLED"}
    assert last == "COMPLETED"
    assert same_weights(story, story.main, "memory")


def test_a_run_past_its_time_limit_goes_on_where_it_was(story):
    first, *_, last = story.jobs(story.main, "limit")
    assert first in ("FAILED", "TIMEOUT") and last == "COMPLETED"
    assert resumed(story.main, "limit")[0][0] > 0
    assert same_weights(story, story.main, "limit", "limit")


def test_a_cancelled_job_is_submitted_again_and_goes_on(story):
    assert story.jobs(story.main, "cancelled") == ["CANCELLED", "COMPLETED"]
    assert resumed(story.main, "cancelled")[0][0] > 0
    assert same_weights(story, story.main, "cancelled")


def test_a_requeued_job_goes_on(story):
    assert story.jobs(story.main, "requeued")[-1] == "COMPLETED"
    assert len(resumed(story.main, "requeued")) == 1
    assert same_weights(story, story.main, "requeued")


def test_a_killed_head_finds_its_jobs_and_submits_none_twice(story):
    assert story.lone.process.returncode == 0, story.lone.output
    assert "waiting for jobs of an earlier head" in story.lone.output
    assert story.jobs(story.lone, "lone") == ["COMPLETED"]
    assert resumed(story.lone, "lone") == []
    assert same_weights(story, story.lone, "lone")


def test_a_drained_node_keeps_its_jobs_and_gets_no_more(story):
    before, after = story.drained
    assert after <= before


def test_a_run_that_fails_for_good_does_not_stop_the_others(story):
    assert story.main_status == 1, story.main.output
    assert "COMPLETED" not in story.jobs(story.main, "hopeless")
    assert len(story.jobs(story.main, "hopeless")) == 3
    assert not story.main.file("hopeless", "model.safetensors").exists()


def test_the_report_says_which_run_failed_and_why(story):
    assert story.partial_status == 0, story.main.output
    report = (story.main.directory / "results/s/report.md").read_text()
    line = next(x for x in report.splitlines() if "hopeless" in x and "memory" in x)
    assert "train: killed by SLURM: out of memory" in line


def test_never_more_jobs_than_gpus(story):
    assert story.most == GPUS
