"""What surrounds the steps: starting a job, saving its state, growing, many runs."""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import psutil
import yaml
from cases import CASES, Case
from ours import Labmill

from labmill.core.job_workers import JobWorkers

ROOT = Path(__file__).parents[1]
WORKFLOW = [
    *("--snakefile", str(ROOT / "Snakefile")),
    *("--profile", str(ROOT / "profiles/local"), "--cores", "2"),
]
BY_LABEL = {(case.label, case.batch): case for case in CASES}
SMALL = BY_LABEL["FMNIST CNN 8-8-100", 32]

FIRST_STEP = """
from cases import CASES
from ours import Labmill
labmill = Labmill(CASES[{index}], 1)
labmill.images_per_second()
"""


def job_start(repeats: int) -> dict[str, float]:
    """Seconds from starting Python to the end of the first step, and of its parts."""
    found = {}
    for name, code in {
        "Python": "pass",
        "and torch": "import torch",
        "and the first step": FIRST_STEP.format(index=CASES.index(SMALL)),
    }.items():
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", code], check=True, cwd=ROOT / "benchmarks"
            )
            seconds.append(time.perf_counter() - began)
        found[name] = statistics.median(seconds)
    return found


TORCH_JOB = "import torch\nimport snakemake.script\n"


def warm_start(repeats: int) -> dict[str, float]:
    """Processor seconds of a job that only imports torch, alone and in a worker's fork."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "job.py"
        script.write_text(TORCH_JOB)
        alone = [used([sys.executable, script])[0] for _ in range(repeats)]
        workers = JobWorkers()
        workers.run(str(script), {}, lambda pid: nullcontext())
        (worker,) = workers.workers.values()
        before = psutil.Process(worker.process.pid).cpu_times()
        for _ in range(10 * repeats):
            workers.run(str(script), {}, lambda pid: nullcontext())
        after = psutil.Process(worker.process.pid).cpu_times()
        workers.close()
        forks = (sum(after) - sum(before)) / (10 * repeats)
    return {"alone": statistics.median(alone), "in a fork": forks}


def planning(sizes: tuple[int, ...]) -> list[dict[str, float]]:
    """Processor seconds and memory to plan studies of so many jobs, three a variant."""
    rows = []
    for jobs in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_study(Path(folder), [(4, 8, 16)] * (jobs // 3))
            row: dict[str, float] = {"jobs": jobs}
            for name, command in {
                "labmill plan": ["labmill.cli", "plan", "grid"],
                "dry run": [
                    "snakemake",
                    "-n",
                    "-q",
                    *WORKFLOW,
                    "results/grid/report.html",
                ],
            }.items():
                call = [sys.executable, "-m", *command]
                row[name], row[f"{name}, MB"] = used(call, Path(folder))
            rows.append(row)
    return rows


def used(command: list, folder: Path | None = None) -> tuple[float, float]:
    """Run a command; return its processor seconds and its peak memory in MB."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def saving() -> list[dict[str, object]]:
    """Size of the state and seconds to save it, for a small and a large network."""
    rows = []
    for label, batch in (("FMNIST CNN 8-8-100", 32), ("ResNet-18", 128), ("VGG16", 32)):
        trainer = Labmill(BY_LABEL[label, batch], 1, compile="off").trainer
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            trainer.save(within=False)
            seconds.append(time.perf_counter() - began)
        size = trainer.store.current.stat().st_size / 1e6
        rows.append({"label": label, "mb": size, "seconds": statistics.median(seconds)})
    return rows


def growth(seconds: float) -> dict[str, list[tuple[int, float]]]:
    """Images per second against batch size, and against the number of images."""
    found = {"batch size": [], "images": []}
    for batch in (8, 32, 128, 512):
        case = Case("", SMALL.model, batch, 28, 1, 0, SMALL.arguments)
        steps = max(4, round(seconds * 8000 / batch))
        found["batch size"].append((batch, rate_of(case, steps)))
    for images in (1_000, 10_000, 60_000):
        found["images"].append((images, rate_of(SMALL, images // SMALL.batch)))
    return found


def rate_of(case: Case, steps: int) -> float:
    """Median over five epochs after one to warm up."""
    labmill = Labmill(case, steps, compile="off")
    labmill.images_per_second()
    return statistics.median(labmill.images_per_second() for _ in range(5))


RUNS = 120
NAIVE_RUN = """
import sys
from cases import Case
from naive import Naive
case = Case("", "two_conv", {batch}, 8, 1, 0, dict(filters1=int(sys.argv[1]),
            filters2=int(sys.argv[2]), dense=int(sys.argv[3])))
naive = Naive(case)
for _ in range({epochs}):
    naive.images_per_second({steps})
"""
GRID = {"filters1": (4, 8), "filters2": (4, 8), "dense": (16, 32, 64)}
EPOCHS, BATCH, IMAGES = 10, 8, 1_293  # of digits, its training part


def small_grid(*, quick: bool) -> dict[str, float]:
    """Seconds per run of a grid: labmill's jobs on two cores, and a shell loop.

    Twelve (quick: four) of 120 runs through the workflow, a third of them in the loop.
    """
    points = list(itertools.product(*GRID.values()))[: 4 if quick else 12]
    steps = -(-IMAGES // BATCH)
    code = NAIVE_RUN.format(batch=BATCH, epochs=EPOCHS, steps=steps - 2)
    began = time.perf_counter()
    for point in points[: len(points) // 3 or 1]:
        arguments = [str(value) for value in point]
        subprocess.run(
            [sys.executable, "-c", code, *arguments],
            check=True,
            cwd=ROOT / "benchmarks",
        )
    naive = (time.perf_counter() - began) / (len(points) // 3 or 1)
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder), points)
        data = ["results/grid/split.npz"]
        models = [
            f"results/grid/p{number}/seed0/dense/model.safetensors"
            for number in range(len(points))
        ]
        snakemake(Path(folder), data)
        began = time.perf_counter()
        snakemake(Path(folder), models)
        total = time.perf_counter() - began
        began = time.perf_counter()
        snakemake(Path(folder), models)
        idle = time.perf_counter() - began
    return {
        "points": len(points),
        "naive": naive,
        "fixed": idle,
        "labmill": (total - idle) / len(points),
    }


def write_study(folder: Path, points: list[tuple[int, ...]]) -> None:
    """A study with one variant for each point."""
    variants = {
        f"p{number}": {"model": dict(zip(GRID, point, strict=True))}
        for number, point in enumerate(points)
    }
    study = {
        "title": "Grid",
        "data": {"dataset": "digits"},
        "defaults": {
            "model": {"name": "two_conv"},
            "training": {"epochs": EPOCHS, "batch_size": BATCH},
        },
        "seeds": [0],
        "variants": variants,
    }
    (folder / "studies").mkdir()
    (folder / "studies/grid.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


def snakemake(folder: Path, targets: list[str]) -> None:
    """Build targets with two cores."""
    subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", *targets),
            *WORKFLOW,
            "--quiet",
        ],
        check=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
