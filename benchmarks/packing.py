"""Queue entries and wall time of a 40-run search with and without packing.

Needs root and the SLURM packages; starts a cluster (tests/helpers/slurm_cluster.py).

    .venv/bin/python benchmarks/packing.py [RUNS] [PACK]
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.slurm_cluster import GPUS, Cluster, unavailable
from helpers.slurm_controllers import Head
from labmill.core.provenance import machine

TRAINING = {"epochs": 10, "batch_size": 32, "compile": "off", "precision": "fp32"}


def search(runs: int) -> dict:
    """A study of one search with that many points."""
    return {
        "title": "Packing",
        "data": {"dataset": "digits"},
        "defaults": {
            "model": {"name": "vit", "patch": 4, "dim": 8, "depth": 1, "heads": 2},
            "training": TRAINING,
        },
        "seeds": [0],
        "variants": {"vit": {}},
        "search": {
            "rates": {
                "variant": "vit",
                "matrix": {
                    "training.learning_rate": [n / 10000 for n in range(1, runs + 1)]
                },
            }
        },
    }


def measure(
    cluster: Cluster, folder: Path, runs: int, *arguments: str
) -> tuple[int, float]:
    """Queue entries and seconds from the head's start to its end."""
    head = Head(folder, search(runs), *arguments)
    began = time.monotonic()
    status = head.start("results/s/rates/chosen.json").wait(7200)
    seconds = time.monotonic() - began
    if status:
        sys.exit(head.output)
    ended = [j for j in cluster.record() if j.fields["WorkDir"] == str(folder)]
    return len(ended), seconds


def main(runs: int = 40, pack: int = 20) -> None:
    if reason := unavailable():
        sys.exit(f"no SLURM: {reason}")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="packing") as name:
        folder = Path(name)
        with Cluster(folder / "cluster") as cluster:
            extra = ("--config", f"pack={pack}")
            packed = measure(cluster, folder / "packed", runs, *extra)
            single = measure(cluster, folder / "single", runs)
    about = machine()
    print(
        f"{runs} runs, {GPUS} GPUs in the cluster; {about['cores']} cores of "
        f"{about['processor']}, load {load:.1f} before\n"
    )
    print("| | queue entries | wall time |\n|---|---|---|")
    for what, (entries, seconds) in (
        (f"packed by {pack}", packed),
        ("one job a run", single),
    ):
        print(f"| {what} | {entries} | {seconds:.0f} s |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
