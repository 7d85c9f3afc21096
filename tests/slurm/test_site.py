"""What needs no cluster: the profile, the site file, prices, and words for failures."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labmill.cluster import doctor, failure, pack, price
from labmill.cluster.site import Site, options
from labmill.errors import LabmillError
from mill import ROOT, TINY

PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/tiny.yaml").write_text(yaml.safe_dump(TINY))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without_slurm(directory: Path) -> dict[str, str]:
    """An environment that finds a shell, `which`, and nothing of SLURM."""
    tools = directory / "bin"
    tools.mkdir()
    for name in ("sh", "bash", "env", "which"):
        (tools / name).symlink_to(shutil.which(name))
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{tools}"}


def snakemake(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With the cluster's profile, on a machine that has no SLURM."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", *arguments),
            *("--snakefile", str(ROOT / "Snakefile")),
            *("--profile", str(ROOT / "profiles/slurm")),
        ],
        cwd=directory,
        env=without_slurm(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def test_dry_run_needs_no_slurm_and_shows_what_each_job_asks(workdir):
    done = snakemake(workdir, "results/tiny/report.html", "-n")
    assert done.returncode == 0, done.stdout
    asked = {}
    for block in done.stdout.split("\n\n"):
        for line in block.splitlines():
            if line.startswith(("rule ", "localrule ", "checkpoint ")):
                name = line.split()[1].rstrip(":")
            elif line.strip().startswith("resources:"):
                asked[name] = line
    for word in ("gres=gpu:1", "mem_mb=16000", "runtime=240", "cpus_per_task=4"):
        assert word in asked["train"]
    assert "--signal=TERM@120" in asked["train"]
    assert "gres" not in asked["split"] and "gres" not in asked["summarize"]


def test_a_wrong_key_of_the_site_file_is_named(workdir):
    (workdir / "my.yaml").write_text("site: {partion: gpu}\n")
    target = "results/tiny/report.html"
    done = snakemake(workdir, target, "-n", "--configfile", "my.yaml")
    assert done.returncode != 0
    assert "no key 'partion'; did you mean 'partition'?" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"gpus": "gre"}, "did you mean 'gres'?"),
        ({"partition": 3}, "is not a text"),
        ({"local": "download"}, "is not a list"),
        ("gpu", "must hold keys"),
    ],
)
def test_wrong_values_are_refused(given_, words):
    with pytest.raises(LabmillError, match=words.replace("?", r"\?")):
        Site.of({"site": given_})


@given(
    gpus=st.sampled_from(["gres", "gpus", "none"]),
    kind=st.none() | st.just("h200"),
    gpu=st.booleans(),
)
def test_a_gpu_is_asked_for_in_exactly_one_way(gpus, kind, gpu):
    asked = Site(gpus=gpus, gpu_type=kind).resources(gpu)
    wanted = gpu and gpus != "none"
    assert ("gres" in asked) + bool(asked["gpu"]) == wanted
    if "gres" in asked:
        assert asked["gres"] == ("gpu:h200:1" if kind else "gpu:1")
    assert ("gpu_model" in asked) == bool(wanted and kind and gpus == "gpus")


def test_jobs_without_a_gpu_go_elsewhere_and_sbatch_gets_the_same_words():
    site = Site("gpu", "cpu", account="lab", qos="day", constraint="a100", gpus="gpus")
    assert site.resources(gpu=False)["slurm_partition"] == "cpu"
    assert "constraint" not in site.resources(gpu=False)
    assert options(site) == [
        *("--partition=gpu", "--account=lab", "--qos=day", "--constraint=a100"),
        "--gpus=1",
    ]


def test_modules_that_are_not_loaded_are_named():
    site = Site(modules=("cuda/12.1", "python", "gcc"))
    assert site.missing_modules("cuda/12.1:python/3.11") == ["gcc"]


def test_the_plugin_s_faults_are_kept_away_from():
    """Rule-level retries, arrays, sacct, no requeue, purged records, other signals."""
    rules = "".join(p.read_text() for p in (ROOT / "workflow/rules").glob("*.smk"))
    assert "retries:" not in rules and PROFILE["retries"] >= 2
    assert "slurm-array-jobs" not in PROFILE and "slurm-no-requeue" not in PROFILE
    assert PROFILE["slurm-status-command"] == "squeue"
    # Below a third of SLURM's MinJobAge of 300 s, else the plugin takes sacct.
    assert PROFILE["slurm-init-seconds-before-status-checks"] <= 100
    for name in ("train", "pretrain", "prune"):
        assert PROFILE["set-resources"][name]["slurm_extra"].startswith(
            "--signal=TERM@"
        )


def test_every_rule_grows_by_attempt_and_gpu_hours_count_those_with_a_gpu():
    rules = "".join(p.read_text() for p in (ROOT / "workflow/rules").glob("*.smk"))
    blocks = re.split(r"^(?:rule|checkpoint) (\w+):", rules, flags=re.M)[1:]
    bodies = dict(zip(blocks[::2], blocks[1::2], strict=True))
    asked = PROFILE["set-resources"]
    assert set(asked) == {*bodies, "pretrain"}
    for name, amounts in asked.items():
        assert amounts["mem_mb"].endswith("* attempt"), name
        assert amounts["runtime"].endswith("* attempt"), name
    with_gpu = {name for name, body in bodies.items() if "gpu=1" in body}
    assert set(price.ON_GPU) == with_gpu | {"pretrain"}


def test_doctor_without_slurm_says_so_in_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "labmill.cluster.doctor", str(tmp_path / "site.yaml")],
        env=without_slurm(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    assert done.stdout.startswith("No SLURM answers here (sinfo: not installed)")
    assert not (tmp_path / "site.yaml").exists()


def test_partitions_are_read_as_sinfo_prints_them():
    text = "a*|up|1-02:00:00|16000+|8+|gpu:v100:2(S:0),gpu:a100:4\nb|down|1:00|1|1|(null)\nc|up|infinite|500|64|(null)"
    a, c = doctor.partitions(text)
    assert (a.name, a.default, a.minutes, a.mem_mb, a.cpus) == (
        "a",
        True,
        1560,
        16000,
        8,
    )
    assert a.gpus == {"v100": 2, "a100": 4} and c.gpus == {}
    assert c.minutes == float("inf") and doctor.minutes("30:00") == 30


RECORD = {
    "variant": "vit",
    "seed": 0,
    "stage": "dense",
    "folder": "results/s/vit/seed0/dense",
}


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_a_failure_is_told_in_the_run_s_own_last_words(workdir):
    write(
        "logs/train/s.vit.seed0.log",
        "10:00:00 started\n10:00:01 Error: data/x: is damaged\n",
    )
    assert failure.reason(RECORD) == "train: data/x: is damaged"


def test_a_run_that_slurm_ended_is_told_in_slurm_s_words(workdir):
    write("logs/train/s.vit.seed0.log", "10:00:00 epoch 1\n")
    write("logs/slurm/rule_train/s_vit_0/9.log", "finished\n")
    write(
        "logs/slurm/rule_train/s_vit_0/11.log",
        "slurmstepd: error: Detected 1 oom_kill event\n",
    )
    told = failure.reason(RECORD)
    assert told.startswith("train: killed by SLURM: out of memory (2 attempts)")
    assert told.endswith("11.log")


def test_a_price_rests_on_earlier_runs_of_the_same_model(workdir):
    from labmill.plan import Plan

    plan = Plan("studies/tiny.yaml")
    first = [c for c in price.prices(plan) if c.kind == "train"]
    assert len(first) == 4 and {c.basis for c in first} == {"FLOPs at an assumed rate"}
    folder = "results/other/x/seed0/dense"
    write(f"{folder}/model.json", '{"name": "vit"}')
    write(f"{folder}/history.csv", "epoch,seconds,operations\n1,2.0,1000\n2,4.0,4000\n")
    assert price.Experience().rate("vit") == (1000, "earlier runs of vit")
    bases = {c.basis for c in price.prices(plan) if c.kind == "train"}
    assert bases == {"earlier runs of vit", "FLOPs at the rate of other models' runs"}


def test_a_study_above_the_budget_does_not_start(workdir):
    done = snakemake(workdir, "results/tiny/report.html", "--config", "budget=0.0001")
    assert done.returncode != 0
    assert "GPU-hours, above the budget of 0.0001" in done.stdout
    assert not (workdir / "results").exists()


@given(st.integers(1, 200), st.integers(1, 50))
def test_packs_are_few_and_hold_each_run_once(n, size):
    names = [str(i) for i in range(n)]
    parts = pack.chunks(names, size)
    assert len(parts) == -(-n // size)
    assert max(map(len, parts)) <= size
    assert sorted(name for part in parts for name in part) == sorted(names)
