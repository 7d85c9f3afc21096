"""Killed is not lost: the same command goes on, to the same bits."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from mill import ROOT, Mill
from test_reruns import library  # noqa: F401  a fixture

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


def test_kill_everything_in_the_middle_of_an_epoch(mill: Mill, library: Path):  # noqa: F811
    loop = library / "src/labmill/training/loop.py"
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
    loop = library / "src/labmill/data/splits.py"
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
