"""What a head does before jobs run, and only then; with commands that stand for SLURM's."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from helpers.workflow_run import ROOT, TINY
from labmill.cluster import orphaned_jobs
from labmill.core.errors import LabmillError
from labmill.core.lock import ControllerLocks

SITE = {"local": ["download", "split"]}
SPLIT = "results/s/split.npz"
REPORT = "results/s/report.html"


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """A working directory where each of SLURM's commands writes down its call."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/s.yaml").write_text(yaml.safe_dump(TINY))
    (tmp_path / "site.yaml").write_text(yaml.safe_dump({"site": SITE}))
    monkeypatch.chdir(tmp_path)
    for name in ("sbatch", "squeue", "scancel", "srun", "sinfo"):
        command(name, "echo 7" if name == "sbatch" else "")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path


def command(name: str, does: str) -> None:
    """Put a command on PATH."""
    path = Path("bin", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "{name} $*" >> "$PWD/called.txt"\n{does}\n')
    path.chmod(0o755)


def called() -> list[str]:
    """The calls of SLURM's commands so far."""
    path = Path("called.txt")
    return path.read_text().splitlines() if path.exists() else []


def line(*arguments: str, profile: str = "slurm") -> list[str]:
    """Snakemake's command line."""
    return [
        *(sys.executable, "-m", "snakemake", *arguments),
        *("--snakefile", str(ROOT / "Snakefile")),
        *("--profile", str(ROOT / "profiles" / profile), "--cores", "2"),
    ]


def snakemake(*arguments: str, profile: str = "slurm") -> tuple[int, str]:
    """Exit status and output."""
    done = subprocess.run(
        line(*arguments, profile=profile),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    return done.returncode, done.stdout


PACK = ("--configfile", "site.yaml", "--config", "pack=20", "store=elsewhere")


@pytest.mark.parametrize("asked", ["-np", "--dag", "--summary", "--unlock", "--touch"])
def test_only_a_real_run_touches_the_queue(workdir, asked):
    _, output = snakemake(REPORT, asked, *PACK)
    assert called() == [], output
    assert not Path(".snakemake/labmill").exists()


def test_packs_are_told_what_the_head_was_and_tried_again_when_cut_short(workdir):
    """No pack ever finishes a run here; after three they become ordinary jobs."""
    log = "logs/slurm/pack/7.log"
    command("sbatch", f"echo CANCELLED AT noon DUE TO TIME LIMIT > {log}; echo 7")
    status, output = snakemake(SPLIT, *PACK)
    assert status == 0, output
    packs = [call for call in called() if call.startswith("sbatch ")]
    assert len(packs) == 3
    assert output.count(f"a pack was killed by SLURM: time limit, see {log}") == 3
    assert "--comment=pack_wildcards_s " in packs[0] and "--mem=16000M" in packs[0]
    assert "--mem=32000M" in packs[1]
    for run in ("cnn/seed0", "vit/seed1"):
        for file in ("model.safetensors", "predictions.npz"):
            assert f"results/s/{run}/dense/{file}" in packs[0]
    told = json.loads(Path("logs/slurm/pack/config.json").read_text())
    assert told["store"] == "elsewhere" and told["packed"] and told["site"] == SITE
    assert "--configfile logs/slurm/pack/config.json" in packs[0]


def test_nothing_is_packed_for_a_study_that_was_not_asked_for(workdir):
    status, output = snakemake("data/digits/images.npy", *PACK)
    assert status == 0, output
    assert not [call for call in called() if call.startswith("sbatch ")]


def test_a_second_head_of_one_study_is_refused(workdir):
    other = "import time; from labmill.core.lock import ControllerLocks; held = ControllerLocks(); held.claim('s'); print('got', flush=True); time.sleep(300)"
    with subprocess.Popen(
        [sys.executable, "-c", other], stdout=subprocess.PIPE
    ) as head:
        assert head.stdout.readline() == b"got\n"
        status, output = snakemake(SPLIT, "--configfile", "site.yaml")
        assert status != 0 and not called()
        assert f"s: process {head.pid} on " in output
        assert re.search(r"since \d{4}-.* works on it in this folder", output)
        with pytest.raises(LabmillError, match=f"process {head.pid} on .* since"):
            ControllerLocks().claim("s")
        mine = ControllerLocks()
        mine.claim("laptop/s")
        (other,) = mine.others()
        assert other.startswith(f"s: process {head.pid} on ")
        head.kill()
    ControllerLocks().claim("s")


def test_a_stale_lock_goes_and_a_live_one_stays(workdir):
    Path(".snakemake/locks").mkdir(parents=True)
    live = "import time; from labmill.core.lock import ControllerLocks; held = ControllerLocks(); held.remove_stale(); print('got', flush=True); time.sleep(300)"
    with subprocess.Popen([sys.executable, "-c", live], stdout=subprocess.PIPE) as head:
        head.stdout.readline()
        assert not Path(".snakemake/locks").exists()
        Path(".snakemake/locks").mkdir()
        ControllerLocks().remove_stale()
        assert Path(".snakemake/locks").exists()
        head.kill()


def test_leftovers_that_cannot_start_say_why_and_how_to_give_them_up(
    workdir, monkeypatch, capsys
):
    """The first answer of the queue holds one job of this study and three others."""
    rows = [
        f"12|PENDING|PartitionTimeLimit|{workdir}|rule_train_wildcards_s_vit_0",
        f"13|RUNNING|None|{workdir}|rule_train_wildcards_s_two_vit_0",
        "14|RUNNING|None|/elsewhere|rule_train_wildcards_s_vit_0",
        f"15|RUNNING|None|{workdir}|mine",
    ]
    text = "\\n".join(rows)
    command("squeue", f'test -e asked || printf "{text}\\n"; touch asked')
    monkeypatch.setattr(orphaned_jobs, "EVERY", 0)
    ControllerLocks().claim("s_two")
    orphaned_jobs.wait(["s"])
    told = capsys.readouterr().err
    assert (
        "waiting for orphaned jobs: 12 (rule_train_wildcards_s_vit_0, "
        "PENDING: PartitionTimeLimit); to give up: scancel 12\n"
    ) in told
    assert len(called()) == 2


@pytest.mark.parametrize("asked", [("-n",), ()])
def test_modules_must_be_loaded_where_jobs_start(workdir, asked):
    Path("site.yaml").write_text(yaml.safe_dump({"site": SITE | {"modules": ["cuda"]}}))
    status, output = snakemake(SPLIT, "--configfile", "site.yaml", *asked)
    assert ("modules that are not loaded: cuda" in output) == (not asked)
    assert (status == 0) == bool(asked)


def test_a_config_file_does_not_take_the_site_away(workdir):
    profile = workdir / "profile"
    shutil.copytree(ROOT / "profiles/slurm", profile)
    (profile / "site.yaml").write_text("site: {partition: special, max_minutes: 99}")
    Path("my.yaml").write_text("scale: full\n")
    _, output = snakemake(REPORT, "-n", "--configfile", "my.yaml", profile=str(profile))
    assert "slurm_partition=special" in output and "runtime=99" in output


def test_a_closed_session_ends_the_head_at_once_and_the_next_goes_on(workdir):
    study = TINY | {"defaults": TINY["defaults"] | {"training": {"epochs": 2000}}}
    Path("studies/s.yaml").write_text(yaml.safe_dump(study))
    target = "results/s/vit/seed0/dense/model.safetensors"
    with subprocess.Popen(
        line(target, profile="local"), start_new_session=True
    ) as head:
        end = time.monotonic() + 100
        while not Path("logs/train/s.vit.seed0.log").exists():
            assert time.monotonic() < end and head.poll() is None
            time.sleep(0.1)
        head.send_signal(signal.SIGHUP)
        assert head.wait(20) == 128 + signal.SIGHUP
        with pytest.raises(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
    status, output = snakemake(SPLIT, profile="local")
    assert status == 0, output


FAKE = """#!/bin/sh
echo "$*" >> started.txt
mkdir -p results/s && touch results/s/split.npz
case "$*" in *partial*) exit 0;; esac
{end}
"""


@pytest.mark.parametrize(
    ("end", "partial"),
    [("exit 3", True), ("exit 1", False), ("kill -9 $$", False), ("exit 0", False)],
)
def test_a_partial_report_is_made_only_where_jobs_failed(workdir, end, partial):
    fake = workdir / "snakemake"
    fake.write_text(FAKE.format(end=end))
    fake.chmod(0o755)
    ready = workdir / "ready"
    ready.touch()
    done = subprocess.run(
        [
            *("make", "-f", str(ROOT / "Makefile"), "study", "NAME=s"),
            *(f"BIN={workdir}", f"READY={ready}", "-o", str(ready)),
        ],
        capture_output=True,
        text=True,
    )
    started = Path("started.txt").read_text().splitlines()
    assert ["partial" in call for call in started] == [False, *[True] * partial]
    assert (done.returncode == 0) == (end == "exit 0"), done.stderr


def test_failed_jobs_have_an_exit_status_of_their_own(workdir):
    """A run that cannot train ends with 3; a study that is refused does not."""
    Path("data/digits").mkdir(parents=True)
    for name in ("images.npy", "labels.npy", "card.json"):
        Path("data/digits", name).write_text("damaged")
    assert snakemake(SPLIT, profile="local")[0] == 3
    status, output = snakemake(SPLIT, "--config", "budget=no", profile="local")
    assert status == 1 and "budget" in output
