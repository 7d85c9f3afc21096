"""What needs no cluster: the profile, the site file, prices, and words for failures."""

import json
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

from helpers.workflow_run import ROOT, TINY
from labmill.cluster import cost_estimate, failures, packs, slurm_queries
from labmill.cluster.rule_resources import RULES, on_gpu
from labmill.cluster.site import SAVE, Site, read
from labmill.core.errors import LabmillError
from labmill.plan.outputs import StageRecord
from labmill.plan.plan import Plan

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
    if not tools.exists():
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
        timeout=400,
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


def test_a_site_file_is_read_as_it_is_written(tmp_path):
    """FAULTS 06: YAML 1.1 takes 0123 for 83, and 1:30 for 90."""
    path = tmp_path / "site.yaml"
    path.write_text("site: {account: 0123, qos: 1:30}\n")
    assert read(path) == {"site": {"account": "0123", "qos": "1:30"}}
    path.write_text("site: {account: a, account: b}\n")
    with pytest.raises(LabmillError, match="account"):
        read(path)


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
    assert site.options("train")[:5] == [
        *("--partition=gpu", "--account=lab", "--qos=day", "--constraint=a100"),
        "--gpus=1",
    ]


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        ("cuda/12.1", False),
        ("python", False),
        ("compiler/gcc", False),
        ("compiler/gcc/12", False),
        ("gcc", True),
        ("compiler", True),
        ("cuda/12.2", True),
    ],
)
def test_modules_that_are_not_loaded_are_named(wanted, missing):
    site = Site(modules=(wanted,))
    loaded = "cuda/12.1:python/3.11:compiler/gcc/12"
    if missing:
        with pytest.raises(LabmillError, match=f"not loaded: {wanted}. Run: module"):
            site.check_modules(loaded)
    else:
        site.check_modules(loaded)


@pytest.mark.parametrize("rule", sorted(RULES))
@given(attempt=st.integers(1, 6), minutes=st.integers(1, 900))
def test_every_attempt_gets_more_up_to_the_site_s_limit(rule, attempt, minutes):
    site = Site(max_minutes=minutes, max_mem_mb=20000)
    now, more = site.amounts(rule, attempt), site.amounts(rule, attempt + 1)
    assert now["runtime"] == min(attempt * RULES[rule]["runtime"], minutes)
    assert more["runtime"] == minutes or more["runtime"] > now["runtime"]
    assert more["mem_mb"] == 20000 or more["mem_mb"] > now["mem_mb"]
    assert f"--time={site.amounts(rule)['runtime']}" in site.options(rule)


def test_the_plugin_s_faults_are_kept_away_from():
    """Rule-level retries, arrays, sacct, no requeue, purged records, other signals."""
    rules = "".join(p.read_text() for p in (ROOT / "workflow/rules").glob("*.smk"))
    assert "retries:" not in rules and PROFILE["retries"] >= 2
    assert "slurm-array-jobs" not in PROFILE and "slurm-no-requeue" not in PROFILE
    assert PROFILE["slurm-status-command"] == "squeue"
    # Below a third of SLURM's MinJobAge of 300 s, else the plugin takes sacct.
    assert PROFILE["slurm-init-seconds-before-status-checks"] <= 100
    assert SAVE.startswith("--signal=TERM@")


def test_what_each_rule_needs_stands_in_the_rules_alone():
    rules = "".join(p.read_text() for p in (ROOT / "workflow/rules").glob("*.smk"))
    names = re.findall(r"^(?:rule|checkpoint) (\w+):", rules, flags=re.M)
    assert (
        set(RULES) == {*names, "pretrain", "pause", "split_for_seed"}
        and "set-resources" not in PROFILE
    )
    for name, amounts in RULES.items():
        assert amounts["mem_mb"] >= 1000 and amounts["runtime"] >= 10, name
    assert {name for name in RULES if on_gpu(name)} >= {
        "train",
        "pretrain",
        "measure",
    }
    assert not on_gpu("report")


def test_doctor_without_slurm_says_so_in_one_sentence(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "labmill.cli",
            "doctor",
            str(tmp_path / "site.yaml"),
        ],
        env=without_slurm(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    assert done.stdout.startswith("No SLURM answers here (sinfo: not installed)")
    assert not (tmp_path / "site.yaml").exists()


def test_partitions_are_read_as_sinfo_prints_them():
    text = "a*|up|1-02:00:00|16000+|8+|gpu:v100:2(S:0),gpu:a100:4\nb|down|1:00|1|1|(null)\nc|up|infinite|500|64|(null)"
    a, c = slurm_queries.partitions(text)
    assert (a.name, a.default, a.minutes, a.mem_mb, a.cpus) == (
        "a",
        True,
        1560,
        16000,
        8,
    )
    assert a.gpus == {"v100": 2, "a100": 4} and c.gpus == {}
    assert c.minutes == float("inf") and slurm_queries.minutes("30:00") == 30


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu:nvidia_a100-sxm4-80gb:4", {"nvidia_a100-sxm4-80gb": 4}),
        ("gpu:tesla_v100-sxm2-32gb:4(S:0-1)", {"tesla_v100-sxm2-32gb": 4}),
        ("gpu:rtx-3090:8", {"rtx-3090": 8}),
        ("gpu:a100_1g.5gb:7", {"a100_1g.5gb": 7}),
        ("gpu:2080ti:4", {"2080ti": 4}),
        ("gpu:1g.10gb:7", {"1g.10gb": 7}),
        ("gpu:4", {"": 4}),
        ("gpu:4(S:0,1),shard:8", {"": 4}),
        ("gpu:a100:2(S:0,1),gpu:h100:4,tmpdir:9", {"a100": 2, "h100": 4}),
        ("craynetwork:4", {}),
        ("(null)", {}),
    ],
)
def test_every_name_of_a_gpu_is_read(gres, gpus):
    (partition,) = slurm_queries.partitions(f"p|up|1:00|500|8|{gres}")
    assert partition.gpus == gpus


def test_a_partition_is_as_large_as_its_nodes_with_gpus():
    text = (
        "p|up|1:00|900000|96|(null)\np|up|1:00|64000|8|gpu:4\np|up|1:00|1000|4|(null)"
    )
    (partition,) = slurm_queries.partitions(text)
    assert (partition.mem_mb, partition.cpus) == (64000, 8)


RECORD = StageRecord(
    variant="vit",
    label="vit",
    kind="variant",
    seed=0,
    stage="dense",
    folder="results/s/vit/seed0/dense",
    chosen=None,
    files={},
)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_a_failure_is_told_in_the_run_s_own_last_words(workdir):
    write(
        "logs/train/s.vit.seed0.log",
        "10:00:00 started\n10:00:01 Error: data/x: is damaged\n",
    )
    assert failures.reason(RECORD) == "train: data/x: is damaged"


def test_a_run_that_slurm_ended_is_told_in_slurm_s_words(workdir):
    write("logs/train/s.vit.seed0.log", "10:00:00 epoch 1\n")
    write("logs/slurm/rule_train/s_vit_0/9.log", "finished\n")
    write(
        "logs/slurm/rule_train/s_vit_0/11.log",
        "slurmstepd: error: Detected 1 oom_kill event\n",
    )
    told = failures.reason(RECORD)
    assert told.startswith("train: killed by SLURM: out of memory (2 attempts)")
    assert told.endswith("11.log")


def earlier(place: str, device: str = "cpu", took: float = 14.0) -> None:
    """A finished run of 4 s and 4000 operations whose job took so many seconds."""
    made = {
        "name": "vit",
        "training": {"device": device, "resumed_at": []},
        "provenance": {"kind": "train"},
    }
    folder = f"results/{place}/x/seed0/dense"
    write(f"{folder}/model.json", json.dumps(made))
    write(f"{folder}/history.csv", "epoch,seconds,operations\n1,2.0,9\n2,4.0,4000\n")
    write(f"benchmarks/train/{place}.x.seed0.tsv", f"s\th:m:s\n{took}\t0\n")


def test_a_price_rests_on_earlier_runs_of_the_same_model_and_device(workdir):
    plan = Plan("studies/tiny.yaml")
    before = cost_estimate.costs_of(plan, "cpu")
    first = [c for c in before if c.kind == "train"]
    bases = {f"FLOPs at the rate of {model} elsewhere" for model in ("cnn", "vit")}
    assert len(first) == 4 and {c.basis for c in first} == bases
    earlier("smoke/other", took=90)
    assert cost_estimate.costs_of(plan, "cpu") == before
    earlier("other")
    assert cost_estimate.Experience("cuda").rates == {}
    known = cost_estimate.Experience("cpu")
    assert known.rates == {"vit": [1000]} and known.start() == 10
    bases = {c.basis for c in cost_estimate.costs_of(plan, "cpu") if c.kind == "train"}
    assert bases == {"earlier runs of vit", "FLOPs at the rate of cnn elsewhere"}


def test_a_price_counts_the_images_of_the_dataset(workdir):
    plan = Plan("studies/tiny.yaml")
    assert cost_estimate.images(plan) == 180  # of the limit, less a tenth to validate
    study = TINY | {"data": {"dataset": "digits"}}
    Path("studies/whole.yaml").write_text(yaml.safe_dump(study))
    assert cost_estimate.images(Plan("studies/whole.yaml")) == 1293


@pytest.mark.parametrize("budget", [0.0001, 1000])
def test_a_study_above_the_budget_does_not_start_and_a_dry_run_says_so(workdir, budget):
    target = ("results/tiny/report.html", "--config", f"budget={budget}")
    told = snakemake(workdir, *target, "-n").stdout
    assert "job-hours" in told
    assert ("Would not start: tiny: about" in told) == (budget < 1)
    if budget < 1:
        done = snakemake(workdir, *target)
        assert done.returncode != 0
        assert "GPU-hours, above the budget of 0.0001" in done.stdout
        assert not (workdir / "results").exists()


@given(st.integers(1, 200), st.integers(1, 50))
def test_packs_are_few_and_hold_each_run_once(n, size):
    names = [str(i) for i in range(n)]
    parts = packs.chunks(names, size)
    assert len(parts) == -(-n // size)
    assert max(map(len, parts)) <= size
    assert sorted(name for part in parts for name in part) == sorted(names)
