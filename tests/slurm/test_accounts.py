"""A cluster that keeps accounts: preflight, a whole study, two users, packing."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from cluster import out
from heads import Head, environment

ACCOUNTING = True
STUDY = {
    "title": "Accounts",
    "data": {"dataset": "digits", "limit": 200, "test_limit": 100},
    "defaults": {
        "model": {"name": "vit", "patch": 4, "dim": 8, "depth": 1, "heads": 2},
        "training": {"epochs": 700, "batch_size": 32, "learning_rate": 1e-3}
        | {"compile": "off", "precision": "fp32"},
    },
    "seeds": [0],
    "variants": {"vit": {}},
    "measure": {"batches": [1], "repeats": 3},
}
GPU_RULES = {"rule_train", "rule_evaluate", "rule_measure"}
WEIGHTS = "results/s/{}/seed0/dense/model.safetensors"


@pytest.fixture(scope="module")
def site(cluster, tmp_path_factory) -> dict:
    """The site file that `make doctor` writes on this cluster."""
    folder = tmp_path_factory.mktemp("doctor")
    done = subprocess.run(
        [sys.executable, "-m", "labmill.cluster.doctor", str(folder / "site.yaml")],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (folder / "told.txt").write_text(done.stdout)
    return {
        "told": done.stdout,
        "text": (folder / "site.yaml").read_text(),
        **yaml.safe_load((folder / "site.yaml").read_text()),
    }


@pytest.fixture(scope="module")
def whole(cluster, site, tmp_path_factory) -> Head:
    """A study through the profile as it is, with the doctor's site file."""
    head = Head(tmp_path_factory.mktemp("whole") / "w", STUDY, site=site["site"])
    assert head.start("results/s/report.html").wait(1200) == 0, head.output
    return head


def sacct(folder: Path) -> list[tuple[str, str, str]]:
    """What accounting has on a working directory's jobs: state, GPUs, comment."""
    fields = "state,alloctres,comment,workdir"
    rows = out("sacct", "-XnP", "-S", "00:00", f"--format={fields}%200").splitlines()
    split = [row.split("|") for row in rows if row.strip()]
    return [(r[0], r[1], r[2]) for r in split if r[3] == str(folder)]


def test_doctor_finds_the_cluster(site):
    found = site["site"]
    assert found["partition"] == "gpu" and found["gpus"] == "gres"
    assert found["account"] in ("lab", "root")
    assert "locks hold across machines" in site["told"]
    assert "renames are seen by both sides" in site["told"]
    assert re.search(
        r"ok +sbatch --test-only --partition=gpu .*--gres=gpu:1", site["told"]
    )
    assert "# found:" in site["text"] or "# guessed:" in site["text"]


def test_a_whole_study_runs_as_jobs_and_accounting_knows_their_gpus(whole):
    rows = {
        comment.split("_wildcards")[0]: row for *row, comment in sacct(whole.directory)
    }
    assert {"rule_train", "rule_evaluate", "rule_split", "rule_report"} <= set(rows)
    assert {state for state, _ in rows.values()} == {"COMPLETED"}
    for rule, (_, resources) in rows.items():
        assert ("gres/gpu=1" in resources) == (rule in GPU_RULES), rule


def test_every_job_keeps_its_log(whole):
    logs = list((whole.directory / "logs/slurm").glob("rule_train/*/*.log"))
    assert logs and "Finished jobid" in logs[0].read_text()


def test_the_study_is_up_to_date_on_this_machine_too(whole):
    done = Head.start(whole, "results/s/report.html", "-n", profile="local")
    assert done.wait() == 0
    assert "everything is up to date" in done.output


def test_two_users_at_once_and_an_scancel(cluster, tmp_path):
    """Two working directories, one data store, at once; one of them loses its job."""
    heads = [
        Head(tmp_path / name, STUDY, "--config", f"store={tmp_path}/store")
        for name in ("one", "two")
    ]
    for head in heads:
        head.start(WEIGHTS.format("vit"))
    end = time.monotonic() + 300
    while "epoch 1" not in heads[0].training("vit") and time.monotonic() < end:
        time.sleep(0.3)
    (number, *_), *_ = cluster.queue(heads[0].directory)
    subprocess.run(["scancel", str(number)], check=True)
    # With sacct as the status command the head would wait for ever from here on.
    assert [head.wait(400) for head in heads] == [0, 0]
    states = [sorted(s.split()[0] for s, *_ in sacct(head.directory)) for head in heads]
    assert states == [["CANCELLED", "COMPLETED"], ["COMPLETED"]]
    one, two = (head.file("vit", "model.safetensors").read_bytes() for head in heads)
    assert one == two


def test_small_runs_share_a_job(cluster, tmp_path):
    """Six runs, packed by three, are two entries in the queue and six results."""
    study = STUDY | {"variants": {}}
    for n in range(6):
        study["variants"][f"v{n}"] = {"training": {"epochs": n + 2}}
    head = Head(tmp_path / "packed", study, "--config", "pack=3")
    targets = [WEIGHTS.format(f"v{n}") for n in range(6)]
    assert head.start(*targets).wait(600) == 0, head.output
    comments = [comment for *_, comment in cluster.queue(head.directory)]
    assert comments == ["labmill pack"] * 2
    for n in range(6):
        description = json.loads(head.file(f"v{n}", "model.json").read_text())
        assert description["training"]["epochs"] == n + 2
        assert "completed" in head.training(f"v{n}")
