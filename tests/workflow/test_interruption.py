"""Killed is not lost: the same command goes on, to the same bits."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from test_reruns import library  # noqa: F401  a fixture

from helpers.workflow_run import ROOT, TINY, Mill

LONG = {
    "title": "Long",
    "data": {"dataset": "digits"},
    "defaults": {
        "model": {
            "name": "cnn",
            "layers": ["conv 8 bn", "pool", "flatten", "dropout 0.2"],
        },
        "training": {
            "epochs": 40,
            "batch_size": 16,
            "ema": 0.99,
            "augmentation": {"crop": 1},
        },
    },
    "seeds": [0],
    "variants": {"cnn": {}},
}
RUN = "results/long/cnn/seed0/dense"
# More of them take longer: a kill is followed by most of a study.
KILLS = int(os.environ.get("LABMILL_TEST_KILLS", "5"))
TIMED = ("seconds", "images_per_second", "peak_memory_mb")


def test_kill_everything_in_the_middle_of_an_epoch(mill: Mill, library: Path):  # noqa: F811
    loop = library / "src/labmill/training/trainer.py"
    text = loop.read_text()
    often = text.replace(
        "SAVE_AFTER, SAVE_WITHIN = 60.0, 300.0", "SAVE_AFTER, SAVE_WITHIN = 0.0, 0.5"
    )
    assert often != text
    loop.write_text(often)
    mill.write(LONG, "long")
    whole = Mill(mill.directory / "whole")
    whole.directory.mkdir()
    whole.write(LONG, "long")
    target = f"{RUN}/model.safetensors"
    assert whole.run(target, root=library).returncode == 0

    kills = 0
    for _ in range(3):
        process = subprocess.Popen(
            mill.command(target, root=library),
            cwd=mill.directory,
            env=mill.environment(library),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if wait_for_new_state(mill.directory / RUN, process):
            kills += 1
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert kills >= 2, "the run ended before it could be killed"
    assert not (mill.directory / target).exists()

    done = mill.run(target, root=library)
    assert done.returncode == 0, done.stdout
    ours, theirs = mill.directory / RUN, whole.directory / RUN
    assert (ours / "model.safetensors").read_bytes() == (
        theirs / "model.safetensors"
    ).read_bytes()
    assert "resumed" in (ours / "model.json").read_text()


@pytest.mark.parametrize(
    ("number", "everyone", "word", "command"),
    [
        (signal.SIGINT, True, "Ctrl-C", "snakemake"),
        (signal.SIGTERM, False, "SIGTERM", "snakemake"),
        (signal.SIGTERM, True, "SIGTERM", "snakemake"),
        (signal.SIGHUP, True, "a closed terminal", "snakemake"),
        (signal.SIGTERM, False, "SIGTERM", "labmill"),
        (signal.SIGTERM, True, "SIGTERM", "labmill"),
    ],
)
def test_a_stop_saves_states_and_ends_in_one_sentence(
    mill: Mill, number: signal.Signals, everyone: bool, word: str, command: str
):
    """A terminal's signals reach every process, `kill` reaches the controller alone."""
    training = LONG["defaults"]["training"] | {"epochs": 100_000, "compile": "off"}
    defaults = LONG["defaults"] | {"training": training}
    mill.write(LONG | {"seeds": [0, 1], "defaults": defaults}, "long")
    arguments = mill.command("results/long/report.html")
    if command == "labmill":
        arguments = [str(Path(sys.executable).with_name("labmill")), "run", "long"]
    with (mill.directory / "output.txt").open("w") as output:
        process = subprocess.Popen(
            arguments,
            cwd=mill.directory,
            env=mill.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    logs = [mill.directory / f"logs/train/long.cnn.seed{seed}.log" for seed in (0, 1)]
    deadline = time.monotonic() + 200
    while not all(log.exists() and "epoch" in log.read_text() for log in logs):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    (os.killpg if everyone else os.kill)(process.pid, number)
    assert process.wait(60) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    text = (mill.directory / "output.txt").read_text()
    last = text.strip().splitlines()[-1]
    assert last.startswith(f"Stopped by {word}: ") and "the same command" in last
    for noise in ("Traceback", "Error", "KeyboardInterrupt", "non-zero"):
        assert noise not in text, text
    for seed in (0, 1):
        assert newest(mill.directory / f"results/long/cnn/seed{seed}/dense")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_random_moments_a_study_has_the_same_bits(
    mill: Mill, finished_tiny: Path
):
    """Of the controller, a worker and a job, any one is killed, or all of them."""
    mill.write(TINY)
    chance, target = random.Random(0), "results/tiny/report.html"
    victims: Counter[str] = Counter()
    for _ in range(KILLS):
        process = subprocess.Popen(
            mill.command(target),
            cwd=mill.directory,
            env=mill.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # In processor time of them all: a moment in the work, however busy the machine.
        moment = chance.uniform(1, 10)
        while process.poll() is None and processor_time(process.pid) < moment:
            time.sleep(0.02)
        children = [] if process.poll() is not None else family(process.pid)
        victim = chance.choice([*children, None])
        with suppress(ProcessLookupError):
            if victim is None:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                os.kill(victim.pid, signal.SIGKILL)
        victims["all" if victim is None else "one"] += process.poll() is None
        if victim is not None and victim.pid != process.pid:
            process.wait(300)
        wait_until_gone(children, process)
        if (mill.directory / target).exists():
            shutil.rmtree(mill.directory / "results")
    assert victims["all"] and victims["one"]
    killed = mill.directory / "results/tiny/vit/seed0/dense/state/.done.json.x1.part"
    killed.parent.mkdir(parents=True, exist_ok=True)
    killed.touch()
    mill.build()
    assert not [*mill.directory.rglob("*.part")]
    for name in ("model.safetensors", "history.csv", "predictions.npz"):
        paths = sorted(finished_tiny.glob(f"results/**/{name}"))
        assert paths
        for path in paths:
            ours = mill.directory / path.relative_to(finished_tiny)
            assert equal(ours, path), ours


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def processor_time(pid: int) -> float:
    """Seconds of the processor that a process and its running children have used."""
    seconds = 0.0
    for process in family(pid):
        with suppress(psutil.Error):
            seconds += sum(process.cpu_times())
    return seconds


def wait_until_gone(processes: list[psutil.Process], first: subprocess.Popen) -> None:
    """Wait until the first process has ended, and check that its jobs end with it."""
    first.wait(300)
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def equal(ours: Path, theirs: Path) -> bool:
    """Compare two files but for the seconds that they report."""
    if ours.suffix == ".npz":
        with np.load(ours) as a, np.load(theirs) as b:
            return a.files == b.files and all(np.array_equal(a[k], b[k]) for k in a)
    if ours.suffix == ".csv":
        a, b = (list(csv.DictReader(path.open())) for path in (ours, theirs))
        untimed = [k for k in a[0] if k not in TIMED]
        return [[r[k] for k in untimed] for r in a] == [
            [r[k] for k in untimed] for r in b
        ]
    return ours.read_bytes() == theirs.read_bytes()


def wait_for_new_state(folder: Path, process: subprocess.Popen) -> bool:
    """Wait until the run has saved another state; False if it ended before."""
    before = newest(folder)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if newest(folder) > before:
            time.sleep(0.3)
            return process.poll() is None
        time.sleep(0.05)
    return False


def newest(folder: Path) -> float:
    """When a state was last saved below a run's folder."""
    times = [0.0]
    for path in folder.glob("state/*/state.safetensors"):
        with suppress(FileNotFoundError):  # another one is just taking its place
            times.append(path.stat().st_mtime)
    return max(times)


def test_wrong_study_starts_nothing(mill: Mill):
    path = mill.write({**LONG, "variants": {"cnn": {"model": {"name": "cmn"}}}}, "long")
    done = mill.run("results/long/report.html")
    assert done.returncode != 0
    assert "variants.cnn.model.name: found 'cmn'; did you mean 'cnn'?" in done.stdout
    assert str(path.relative_to(mill.directory)) in done.stdout
    assert "Traceback" not in done.stdout
    assert not (mill.directory / "results").exists()
    assert not (mill.directory / "data").exists()


def test_failing_job_shows_its_log(mill: Mill, library: Path):  # noqa: F811
    loop = library / "src/labmill/data/split.py"
    loop.write_text(
        loop.read_text()
        + '\n\ndef split(*a, **k):\n    raise OSError("no quota left")\n'
    )
    mill.write(LONG, "long")
    done = mill.run("results/long/split.npz", root=library)
    assert done.returncode != 0
    assert "Logfile logs/split/long.log" in done.stdout
    assert "no quota left" in done.stdout


def test_repository_is_not_written_to(mill: Mill):
    mill.write(LONG, "long")
    before = set(ROOT.iterdir())
    mill.run("results/long/report.html", "-n")
    assert set(ROOT.iterdir()) == before
