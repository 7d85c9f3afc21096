"""A cluster that keeps accounts: preflight, a whole study, two users, packing."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.slurm_cluster import out, wait
from helpers.slurm_controllers import (
    GROUP,
    SITE,
    Head,
    environment,
    gated,
    same_results,
    two_users,
)

ACCOUNTING = True
EPOCHS = 5
STUDY = {
    "title": "Accounts",
    "data": {"dataset": "digits", "limit": 200, "test_limit": 100},
    "defaults": {
        "model": {"name": "vit", "patch": 4, "dim": 8, "depth": 1, "heads": 2},
        "training": {"epochs": EPOCHS, "batch_size": 32, "learning_rate": 1e-3}
        | {"compile": "off", "precision": "fp32"},
    },
    "seeds": [0],
    "variants": {"vit": {}},
    "measure": {"batches": [1], "repeats": 3},
}
# Of the files that are fetched into a store, where this machine has them.
FETCHED = STUDY["data"] | (
    {"dataset": "mnist"} if os.environ.get("LABMILL_MIRROR") else {}
)
GPU_RULES = {"rule_train", "rule_evaluate", "rule_measure"}


@pytest.fixture(scope="module")
def site(cluster, tmp_path_factory) -> dict:
    """The site file that `make doctor` writes on this cluster."""
    folder = tmp_path_factory.mktemp("doctor")
    done = subprocess.run(
        [sys.executable, "-m", "labmill.cli", "doctor", str(folder / "site.yaml")],
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
    assert head.start("results/s/report.html").wait(2400) == 0, head.output
    return head


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Head:
    """The same run on this machine, without SLURM."""
    head = Head(tmp_path_factory.mktemp("local") / "l", STUDY)
    assert head.start(*head.targets("vit"), profile="local").wait() == 0, head.output
    return head


def sacct(folder: Path) -> list[tuple[str, str, str]]:
    """What accounting has on a working directory's jobs: state, GPUs, comment."""
    fields = "state,alloctres,comment,workdir"
    asked = ("sacct", "-XnP", "-S", "00:00", f"--format={fields}%200")

    def rows() -> list[tuple[str, str, str]]:
        split = [row.split("|") for row in out(*asked).splitlines() if row.strip()]
        return [(r[0], r[1], r[2]) for r in split if r[3] == str(folder)]

    # The database hears of an end a moment later.
    wait(lambda: not {"RUNNING", "PENDING"} & {state for state, *_ in rows()})
    return rows()


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


def test_a_whole_study_equals_a_local_one(whole, local):
    assert same_results(whole, local, "vit", "vit")


def test_every_job_keeps_its_log(whole):
    logs = list((whole.directory / "logs/slurm").glob("rule_train/*/*.log"))
    assert logs and "Finished jobid" in logs[0].read_text()


def test_the_study_is_up_to_date_on_this_machine_too(whole):
    site = ("--configfile", "site.yaml")
    done = whole.start("results/s/report.html", "-n", *site, profile="local")
    assert done.wait() == 0
    assert "everything is up to date" in done.output


def test_two_users_at_once_and_an_scancel(cluster, tmp_path):
    """Two directories, one data store, at once; one user loses a job."""
    names, root = two_users(tmp_path), gated(tmp_path)
    store = tmp_path / "store"
    store.mkdir()
    shutil.chown(store, group=GROUP)
    store.chmod(0o2775)
    study, shared = STUDY | {"data": FETCHED}, ("--config", f"store={store}")
    one, two = (
        Head(tmp_path / name, study, *shared, root=root, user=user)
        for name, user in zip("ab", names, strict=True)
    )
    one.hold("vit")
    for head in (one, two):
        head.start(*head.targets("vit"))
    wait(lambda: one.trained("vit") or one.ended, 600)
    ((number, *_),) = cluster.queue(one.directory)
    subprocess.run(["scancel", str(number)], check=True)
    wait(lambda: one.saved("vit") or one.ended, 300)
    one.release("vit")
    # With sacct as the status command the head would wait for ever from here on.
    for head in (one, two):
        assert head.wait(600) == 0, head.output
    states = [sorted(s.split()[0] for s, *_ in sacct(x.directory)) for x in (one, two)]
    assert states == [["CANCELLED", "COMPLETED"], ["COMPLETED"]]
    # By the users' own Python: another's zlib packs the same numbers into other bytes.
    local = Head(tmp_path / "local", study, *shared, root=root, user=names[0])
    assert local.start(*local.targets("vit"), profile="local").wait() == 0, local.output
    for head in (one, two):
        assert [epoch for epoch, _ in head.trained("vit")] == [*range(1, EPOCHS + 1)]
        assert same_results(head, local, "vit", "vit")
    if mirror := os.environ.get("LABMILL_MIRROR"):
        # Each of the four files was brought into the store once.
        logs = [x.directory / "logs/download/mnist.log" for x in (one, two)]
        assert sum(log.read_text().count(f": from {mirror}") for log in logs) == 4


def test_the_head_may_be_a_small_job_itself(cluster, local, tmp_path):
    head = Head(tmp_path / "head", STUDY)
    asked = ["--partition=cpu", "--mem=2000", "--time=10", f"--chdir={head.directory}"]
    command = shlex.join(head.command(*head.targets("vit")))
    subprocess.run(
        ["sbatch", "--wait", *asked, f"--wrap={command}"],
        check=True,
        env=environment(),
        timeout=400,
    )
    rows = [(state, comment) for state, _, comment in sacct(head.directory)]
    assert [state for state, _ in rows] == ["COMPLETED", "COMPLETED"]
    assert "rule_train_wildcards_s_vit_0" in [comment for _, comment in rows]
    assert same_results(head, local, "vit", "vit")


def test_small_runs_share_a_job(cluster, local, tmp_path):
    """Six runs, packed by three, lose their head and then one pack.

    The next head waits for both packs and packs again what the lost one left.
    """
    study = STUDY | {"variants": {}}
    for n in range(6):
        study["variants"][f"v{n}"] = {"training": {"epochs": n + 2}}
    head = Head(
        tmp_path / "packed",
        study,
        *("--config", "pack=3"),
        site=SITE | {"local": ["download", "split"]},
        root=gated(tmp_path),
    )
    names, targets = tuple(study["variants"]), head.targets(*study["variants"])
    head.hold(*names)
    head.start(*targets)
    wait(lambda: all(map(head.trained, names)) or head.ended, 900)
    head.kill()
    head.start(*targets)
    wait(lambda: "waiting for orphaned jobs" in head.output or head.ended, 300)
    (lost, *_), (_, *_) = cluster.queue(head.directory)
    subprocess.run(["scancel", str(lost)], check=True)
    for name in names:
        head.release(name)
    assert head.wait(900) == 0, head.output
    comments = [comment for *_, comment in cluster.queue(head.directory)]
    assert comments == ["pack_wildcards_s"] * 3
    states = sorted(state.split()[0] for state, *_ in sacct(head.directory))
    assert states == ["CANCELLED", "COMPLETED", "COMPLETED"]
    for n, name in enumerate(names):
        assert [epoch for epoch, _ in head.trained(name)] == [*range(1, n + 3)]
        assert "completed" in head.training(name)
    assert same_results(head, local, f"v{EPOCHS - 2}", "vit")
