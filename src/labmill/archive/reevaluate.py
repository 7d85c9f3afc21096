"""Evaluate the weights of an archive again, with this code and this machine's data."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from labmill.archive.archive import plan_of
from labmill.archive.records import Opened
from labmill.archive.split_check import (
    dataset_problem,
    split_again,
    split_folder,
    splits_of,
)
from labmill.core import project
from labmill.core.errors import LabmillError
from labmill.core.fingerprint import dataset_key
from labmill.core.records import Provenance
from labmill.core.trees import JsonObject
from labmill.evaluation.evaluate import evaluate
from labmill.plan.job import Job
from labmill.report.runs import PARTS
from labmill.training.trained_model import TrainedModel

# Another processor adds in another order: logits in float32 differ by less than this,
# relative to the largest of the file. Not chosen by who hands in.
ROUNDING = 1e-3


def reevaluate(
    opened: Opened, data: Path, *, trust_code: bool = False
) -> tuple[list[str], list[str]]:
    """Compare every prediction with that of the weights on the test images here.

    `trust_code`: whether networks of the author's own code may be built. Return what
    differs, and why nothing could be compared.
    """
    runs = [run for run in opened.index["runs"] if opened.file(run, "predictions")]
    found = [
        f"{run['files']['predictions']}: the weights are not in the archive"
        for run in runs
        if not opened.file(run, "model")
    ]
    settings = opened.index["provenance"]["settings"]["study"]["data"]
    folder = data / dataset_key(settings["dataset"], settings["arguments"])
    if not (folder / "images.npy").is_file():
        return found, [f"the dataset is not here: {folder}/images.npy"]
    if problem := dataset_problem(folder):
        return found, [f"data/{folder.name}: {problem}"]
    with (
        tempfile.TemporaryDirectory() as temporary,
        project.using(opened.root, trusted=trust_code),
    ):
        plan = plan_of(opened)
        for at, seed in splits_of(opened).items():
            made = temporary / at.relative_to(opened.folder)
            split_again(settings | {"split_seed": seed}, folder, made)
        for run in runs:
            if not opened.file(run, "model"):
                continue
            # Not the plan's job, which would read a folder of images that the study names.
            chosen = plan.evaluate_settings(run["variant"], run["seed"])
            job = Provenance.of_job(Job("evaluate", chosen, ()).params)
            own = temporary / split_folder(opened, run).relative_to(opened.folder)
            try:
                found += compare_stage(opened, run, folder, own, job)
            except project.UntrustedCodeError as error:
                return found, [str(error)]
    return found, []


def compare_stage(
    opened: Opened, run: JsonObject, folder: Path, own: Path, job: Provenance
) -> Iterator[str]:
    """Yield where the predictions of a stage are not those of its weights.

    `own` is a folder with the split made here, for files of this comparison; `job` the
    provenance of the stage's evaluation, as this code plans it.
    """
    model, description = opened.file(run, "model"), opened.file(run, "description")
    predictions = opened.file(run, "predictions")
    assert model and description and predictions
    trained = TrainedModel(
        images=folder / "images.npy",
        card=folder / "card.json",
        split=own / "split.npz",
        model=model,
        description=description,
    )
    out = own / "{variant}/seed{seed}/{stage}".format(**run)
    name = run["files"]["predictions"]
    try:
        evaluate(
            trained,
            test=own / "test.npz",
            summary=own / "split.json",
            predictions=out / "predictions.npz",
            metrics=out / "metrics.json",
            record=own / "openings.jsonl",
            threads=1,
            provenance=job,
        )
    except project.UntrustedCodeError:
        raise
    except LabmillError as error:
        yield f"{name}: the weights cannot be evaluated: {error}"
        return
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:200]
        yield f"{name}: the weights cannot be evaluated: {said}"
        return
    with np.load(predictions) as then, np.load(out / "predictions.npz") as now:
        for part in PARTS:
            for what in ("labels", "indices"):
                if not np.array_equal(then[f"{part}_{what}"], now[f"{part}_{what}"]):
                    yield f"{name}: {part}_{what} are not those of the split here"
            wrong = different_rows(then[f"{part}_logits"], now[f"{part}_logits"])
            if wrong:
                count = len(now[f"{part}_logits"])
                yield (
                    f"{name}: {part}_logits of {wrong} of {count} images are not those "
                    "of the weights"
                )


def different_rows(then: np.ndarray, now: np.ndarray) -> int:
    """Return how many images have other logits, beyond rounding."""
    if then.shape != now.shape:
        return max(len(then), len(now))
    close = np.abs(then - now) <= ROUNDING * max(1.0, float(np.abs(now).max()))
    return int((~close.all(axis=1)).sum())
