"""Check a capsule: `python -m labmill.report.reproduce x.zip [variant:seed]`.

Recomputes the report from the results inside; with a run, trains it again with the
capsule's own code through the real workflow, and says whether the same came out.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from labmill.errors import LabmillError, suggest
from labmill.evaluation.statistics import LEAST_SEEDS, wilson
from labmill.report.capsule import sha256, unpack
from labmill.report.read import UNUSABLE, Place
from labmill.report.verify import Verdict, verify
from labmill.runtime import read_json


class Outcome(StrEnum):
    """What became of a run that was done again."""

    EQUAL = "bit-equal"
    WITHIN = "within the interval"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Again:
    """One stage of a run, done again. Accuracies on the test images, in 0..1.

    low, high: where another run of the recipe is expected (95 %).
    """

    file: str
    outcome: Outcome
    then: float
    now: float
    low: float
    high: float
    weights_equal: bool | None

    def __str__(self) -> str:
        weights = {True: ", weights equal", False: ", weights differ", None: ""}
        return (
            f"{self.file}: {self.outcome} (test accuracy {100 * self.then:.2f} % then, "
            f"{100 * self.now:.2f} % now; expected {100 * self.low:.1f} to "
            f"{100 * self.high:.1f} %{weights[self.weights_equal]})"
        )


def reproduce(capsule: Path, run: str | None = None) -> tuple[Verdict, list[Again]]:
    """Whether a capsule's report follows, and its run `variant:seed` done again.

    LabmillError when it is no capsule, has no such run, or the run fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        about = unpack(capsule, root)
        results = root / about["results"]
        verdict = verify(results)
        again = run_again(root, about, run) if run else []
    return verdict, again


def run_again(root: Path, about: Mapping[str, Any], run: str) -> list[Again]:
    """Train and evaluate one run in a folder of its own; compare every evaluated stage."""
    index = read_json(root / about["results"] / "index.json")
    files = evaluated(index, run)
    again = root / "again"
    (again / "studies").mkdir(parents=True)
    study = f"studies/{about['study']}.yaml"
    (again / study).write_bytes((root / study).read_bytes())
    work(root / "code", again, files)
    place = Place(root / about["results"], about["results"])
    return [
        compare(index, place, Path(file), again, about["weights"]) for file in files
    ]


def evaluated(index: Mapping[str, Any], run: str) -> list[str]:
    """The predictions of a run `variant:seed`, one file per stage that has any."""
    found: dict[str, list[str]] = {}
    for record in index["runs"]:
        if path := record["files"].get("predictions"):
            found.setdefault(f"{record['variant']}:{record['seed']}", []).append(path)
    if run not in found:
        raise LabmillError(f"RUN: found {run!r}; {suggest(run, found)}")
    return found[run]


def work(code: Path, folder: Path, targets: Sequence[str]) -> None:
    """Make `targets` in `folder` with the code of a capsule.

    Decoded datasets of the directory that we are called from are used again.
    """
    here = Path.cwd()
    environment = os.environ | {"PYTHONPATH": str(code / "src")}
    command = [
        *(sys.executable, "-m", "snakemake", *targets),
        *("--snakefile", str(code / "Snakefile")),
        *("--profile", str(code / "profiles/local")),
        *("--config", f"store={here / 'data/store'}"),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise LabmillError(f"the run could not be done again:\n{last}")


def compare(
    index: Mapping[str, Any],
    place: Place,
    file: Path,
    again: Path,
    weights: Mapping[str, str],
) -> Again:
    """One stage's predictions then and now."""
    with np.load(place.path(file.as_posix())) as then, np.load(again / file) as now:
        same = set(then.files) == set(now.files) and all(
            then[name].dtype == now[name].dtype
            and np.array_equal(then[name], now[name])
            for name in then.files
        )
        accuracies = [accuracy(arrays) for arrays in (then, now)]
        images = len(then["test_labels"])
    low, high = expected(index, place, file, accuracies[0], images)
    within = low <= accuracies[1] <= high
    outcome = Outcome.WITHIN if within else Outcome.DIFFERENT
    model = file.with_name("model.safetensors")
    known = weights.get(model.as_posix())
    return Again(
        file=file.as_posix(),
        outcome=Outcome.EQUAL if same else outcome,
        then=accuracies[0],
        now=accuracies[1],
        low=low,
        high=high,
        weights_equal=known and sha256((again / model).read_bytes()) == known,
    )


def accuracy(arrays: Mapping[str, np.ndarray]) -> float:
    """Test accuracy of a predictions file."""
    return float((arrays["test_logits"].argmax(1) == arrays["test_labels"]).mean())


def expected(
    index: Mapping[str, Any], place: Place, file: Path, then: float, images: int
) -> tuple[float, float]:
    """Where one more run of the recipe is expected, with 95 %.

    From three seeds on the prediction interval of their accuracies (Student's t); with
    fewer, Wilson's interval of the one accuracy over the test images.
    """
    *_, variant, _, stage, _ = file.parts
    known = [
        place.path(record["files"]["predictions"])
        for record in index["runs"]
        if (record["variant"], record["stage"]) == (variant, stage)
        and record["files"].get("predictions")
        and record["status"] not in UNUSABLE
    ]
    values = []
    for path in known:
        with np.load(path) as arrays:
            values.append(accuracy(arrays))
    n = len(values)
    if n < LEAST_SEEDS:
        interval = wilson(round(then * images), images)
        return interval.low or 0.0, interval.high or 1.0
    spread = float(np.std(values, ddof=1)) * (1 + 1 / n) ** 0.5
    half = float(stats.t.ppf(0.975, n - 1)) * spread
    mean = float(np.mean(values))
    # An accuracy moves in steps of one image.
    half = max(half, 1 / images)
    return max(0.0, mean - half), min(1.0, mean + half)


def main(arguments: Sequence[str]) -> int:
    """0 when the capsule holds what it says, 1 when not, 2 for a wrong call."""
    if len(arguments) not in (1, 2):
        print("Say which one: python -m labmill.report.reproduce x.zip [variant:seed]")
        return 2
    run = arguments[1] if len(arguments) == 2 and arguments[1] else None
    try:
        verdict, again = reproduce(Path(arguments[0]), run)
    except LabmillError as error:
        print(f"Error: {error}")
        return 2
    for said in [*again, verdict]:
        print(said)
    different = any(one.outcome is Outcome.DIFFERENT for one in again)
    return 1 if verdict.mismatches or different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
