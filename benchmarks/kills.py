"""Kill a study at random moments until it has finished, and compare every byte.

    python benchmarks/kills.py 100 [--seed 0]

A small study (download, split, search, training, prune loop, report) runs once without a
kill. Then it runs again and again in a separate folder and is killed: everything at
once, only the controller, or only one of its jobs. The same command continues, until
nothing is left to do; weights, predictions, splits and data must be those of the run
that nobody killed, `labmill verify` must find no mistake in the report, and no process
and no temporary file may be left. Prints a count per rule that was running.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
STUDY = """\
title: Killed at random
data: {dataset: digits, limit: 300, test_limit: 100}
defaults:
  model: {name: cnn, layers: [conv 8 bn, pool, flatten, dropout 0.2]}
  training: {epochs: 30, batch_size: 16, ema: 0.99, augmentation: {crop: 1}}
seeds: [0]
variants:
  cnn: {}
  found: {chosen: {search: rates}}
search:
  rates: {variant: cnn, matrix: {training.learning_rate: [1e-3, 1e-2]}, training: {epochs: 3}}
pruning: {prune: {variants: [cnn], steps: 2, finetune: {epochs: 2}}}
measure: {batches: [1], repeats: 3}
"""
TARGET = "results/killed/report.html"
# The same bytes whenever and wherever they are computed on this machine.
EXACT = ("*.safetensors", "*/predictions.npz", "split.npz", "test.npz")
LOG = re.compile(r"/killed\d+/logs/(\w+)/")
LONGEST = 900.0  # seconds that one start may take


class Checkout:
    """A copy of labmill whose trainings save their state twice a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "workflow", "profiles"):
            ignored = shutil.ignore_patterns("__pycache__", "site.yaml")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for name in ("Snakefile", "config.yaml", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        trainer = folder / "src/labmill/training/trainer.py"
        rare = "SAVE_AFTER, SAVE_WITHIN = 60.0, 300.0"
        text = trainer.read_text()
        assert rare in text
        trainer.write_text(text.replace(rare, "SAVE_AFTER, SAVE_WITHIN = 0.0, 0.5"))

    def start(self, place: Path) -> subprocess.Popen[bytes]:
        """Start the command that builds the study, in a new session."""
        log = (place / "output.txt").open("ab")
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "snakemake", TARGET),
                *("--snakefile", str(self.folder / "Snakefile")),
                *("--profile", str(self.folder / "profiles/local"), "--cores", "2"),
            ],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(self.folder / "src"), "VERBOSE": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def verify(self, place: Path) -> bool:
        """Return True if the report is what its results give."""
        done = subprocess.run(
            [sys.executable, "-m", "labmill.cli", "verify", "killed"],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(self.folder / "src")},
            check=False,
        )
        return done.returncode == 0


def made(folder: Path) -> Path:
    """Return an empty working directory with the study."""
    (folder / "studies").mkdir(parents=True)
    (folder / "studies/killed.yaml").write_text(STUDY)
    return folder


def digests(place: Path) -> dict[str, str]:
    """Return the digest of each file that is the same in every run."""
    results = place / "results/killed"
    found = [path for pattern in EXACT for path in results.rglob(pattern)]
    found = [path for path in found if "state" not in path.parts]
    found += [*place.glob("data/digits*/*.npy")]
    return {
        str(path.relative_to(place)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(found)
    }


def processes(place: Path) -> list[psutil.Process]:
    """Return all processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()) == place:
                found.append(process)
    return found


def rule_of(process: psutil.Process) -> str | None:
    """Return the rule that a job's process runs; None for any other process."""
    with suppress(psutil.Error):
        # A job is a fork of a worker: only its log tells what it does.
        for file in process.open_files():
            if found := LOG.search(file.path):
                return found[1]
    return None


def log_times(place: Path) -> set[tuple[str, int]]:
    """Return each job's log with its time: a new pair is a line of a running job."""
    with suppress(FileNotFoundError):
        return {(str(p), p.stat().st_mtime_ns) for p in place.glob("logs/*/*")}
    return set()


def wait_for_jobs(controller: subprocess.Popen[bytes], place: Path, lines: int) -> None:
    """Wait until jobs wrote that many lines to their logs, or all is done."""
    seen = log_times(place)
    while controller.poll() is None and lines > 0:
        time.sleep(0.002)
        now = log_times(place)
        lines -= len(now - seen)
        seen |= now


def kill(controller: subprocess.Popen[bytes], how: str) -> list[str]:
    """Kill at once; return the rules that were running."""
    main = psutil.Process(controller.pid)
    with suppress(psutil.Error):
        main.suspend()  # so that it starts no other
    family = [main, *main.children(recursive=True)]
    # Frozen first: a job of milliseconds would end before it is known.
    for one in family:
        with suppress(psutil.Error):
            one.suspend()
    running = {one: rule for one in family if (rule := rule_of(one))}
    victims = family
    if how == "controller":
        victims = [main]
    elif how == "one process":
        victims = [random.choice(list(running) or family)]
    for one in victims:
        with suppress(psutil.Error):
            one.kill()
    for one in family:
        with suppress(psutil.Error):
            one.resume()
    return list(running.values()) or ["between jobs"]


def leftovers(place: Path) -> list[str]:
    """Return temporary files that a finished study left."""
    return [str(path) for path in place.rglob("*.part")]


def main() -> None:
    """Kill as often as requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600.0, help="end after that")
    called = parser.parse_args()
    random.seed(called.seed)
    begun, killed, studies = time.monotonic(), 0, 0
    rules: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        checkout = Checkout(folder / "labmill")
        whole = made(folder / "whole")
        first = time.monotonic()
        if checkout.start(whole).wait(LONGEST):
            sys.exit((whole / "output.txt").read_text())
        length = time.monotonic() - first
        expected = digests(whole)
        print(f"{length:.0f} s without a kill, {len(expected)} files", flush=True)
        over = False
        while not over:
            place = made(folder / f"killed{studies}")
            controller = checkout.start(place)
            while True:
                if controller.poll() is not None:
                    controller = checkout.start(place)
                over = killed >= called.kills
                over |= time.monotonic() - begun > called.minutes * 60
                if over:
                    status = controller.wait(LONGEST)
                    break
                try:
                    if random.random() < 0.9:
                        wait_for_jobs(
                            controller, place, random.choice([1, 1, 1, 2, 3, 6])
                        )
                    longest = random.choice([0.005, 0.05, 0.5, length / 20])
                    status = controller.wait(random.uniform(0.0, longest))
                    if status >= 0:  # not the one process that was killed
                        break
                except subprocess.TimeoutExpired:
                    how = random.choice(["everything", "controller", "one process"])
                    found = kill(controller, how)
                    rules.update(found)
                    ways[how] += 1
                    killed += 1
                    if how != "one process":
                        controller.wait(LONGEST)
                    print(f"kill {killed}: {how} during {', '.join(found)}", flush=True)
            if status == 3:  # the killed job failed for good
                status = checkout.start(place).wait(LONGEST)
            assert status == 0, (place / "output.txt").read_text()[-3000:]
            assert digests(place) == expected, "other bytes"
            assert checkout.verify(place), "verify"
            assert not leftovers(place), leftovers(place)
            assert not processes(place), processes(place)
            studies += 1
            shutil.rmtree(place)
            print(
                f"study {studies} finished after {killed} kills: the same", flush=True
            )
    print(f"{killed} kills ({dict(ways)}), {studies} studies, all bytes equal.")
    print(f"Running when killed: {dict(rules.most_common())}")


if __name__ == "__main__":
    main()
