"""Seeds until decided, in the real workflow: dry run, kill between rounds, same bits."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from helpers.workflow_run import TINY, Mill

ROUNDS = {
    "title": "Rounds",
    "data": TINY["data"],
    "defaults": {
        "model": {"name": "cnn", "layers": ["flatten"]},
        "training": {"epochs": 1, "batch_size": 32, "learning_rate": 1e-2},
    },
    "seeds": {"start": 3, "most": 5, "until": "decided"},
    # A hundred images cannot decide about one point; no question is about the third.
    "variants": {
        "plain": {},
        "alike": {"training": {"batch_size": 31}},
        "apart": {"training": {"batch_size": 16}},
    },
    "measure": {"batches": [1], "repeats": 3},
    "compare": {"batch": {"levels": {"plain": ["plain"], "alike": ["alike"]}}},
}


def results(mill: Mill) -> Path:
    return mill.directory / "results/rounds"


def test_rounds_go_on_after_a_kill_to_the_same_bits(mill: Mill):
    mill.write(ROUNDS, "rounds")
    planned = mill.run("results/rounds/report.html", "--dry-run")
    assert planned.returncode == 0, planned.stdout
    assert "3 to 5 seeds: rounds of 3, 5" in planned.stdout
    assert "round_1.json" in planned.stdout and "seed2/" in planned.stdout
    assert "seed3/" not in planned.stdout

    process = subprocess.Popen(
        mill.command("results/rounds/report.html"),
        cwd=mill.directory,
        env=mill.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    record = results(mill) / "round_1.json"
    deadline = time.monotonic() + 400
    while not record.exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert json.loads(record.read_text())["undecided"] == ["plain", "alike"]
    assert not (results(mill) / "claims.json").exists()
    mill.build("rounds")

    whole = Mill(mill.directory / "whole")
    whole.directory.mkdir()
    whole.write(ROUNDS, "rounds")
    done = whole.run("results/rounds/claims.json")
    assert done.returncode == 0, done.stdout
    names = sorted(
        path.relative_to(results(whole))
        for path in results(whole).glob("*/seed*/dense/*.safetensors")
    )
    seeds = [(path.parts[0], path.parts[1]) for path in names]
    assert seeds.count(("plain", "seed4")) == 1 and len(seeds) == 13
    for name in names:
        ours, theirs = (results(one) / name for one in (mill, whole))
        assert ours.read_bytes() == theirs.read_bytes(), name
    ours, theirs = (
        [
            (claim["id"], claim["verdict"], claim["interval"])
            for claim in json.loads((results(one) / "claims.json").read_text())
            if claim["kind"] == "question"
        ]
        for one in (mill, whole)
    )
    assert ours == theirs and ours[0][1] == "undecided"
    text = (results(mill) / "report.md").read_text().replace("\xa0", " ")
    assert "3 to 5 seeds, in 2 rounds" in text
    assert mill.jobs("rounds") == set()
