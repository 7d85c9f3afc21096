"""Damaged files of a run: made again, or one message with the file's name."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from helpers.damages import DAMAGES
from helpers.data_records import made_card
from helpers.job_records import provenance_of, run_files
from helpers.training_runs import SMALL, images_of
from labmill.core.errors import LabmillError
from labmill.data.arrays import append, openings
from labmill.pruning.records import PruneRecord
from labmill.search.select import run_result
from labmill.study.schema import Model, Run
from labmill.training import checkpoint
from labmill.training.inputs import DatasetFiles
from labmill.training.records import ModelDescription
from labmill.training.train import train


def trained(folder: Path, seed: int) -> Path:
    """A run on a small dataset."""
    out = folder / f"seed{seed}"
    run = Run.model_validate(
        {
            "variant": "v",
            "seed": seed,
            "model": Model(name="cnn", arguments=SMALL["cnn"]),
            "training": {"epochs": 2, "batch_size": 8, "log_batches": 1},
        },
        strict=False,
    )
    train(
        run,
        dataset(folder),
        start=None,
        out=run_files(out, batches=True),
        state=out / "state",
        provenance=provenance_of(run.model_dump(mode="json")),
        progress=False,
    )
    return out


def dataset(folder: Path) -> DatasetFiles:
    return DatasetFiles(*(folder / n for n in ("images.npy", "card.json", "split.npz")))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, and two runs on it."""
    folder = tmp_path_factory.mktemp("runs")
    data = images_of(30, 10)
    np.save(folder / "images.npy", data.images)
    parts = {"train": data.train, "validation": data.validation}
    unlabelled = data.train[:0]
    np.savez(folder / "split.npz", **parts, unlabelled=unlabelled, labels=data.labels)
    scale = {"mean": (0.4,) * 3, "std": (0.2,) * 3}
    made_card(folder / "card.json", channels=3, image_size=32, **scale)
    for seed in (0, 1):
        trained(folder, seed)
    PruneRecord(
        loop="l",
        step=1,
        criterion="l1",
        scope="each",
        layer=None,
        removed={"conv1": [0, 3]},
        units={"conv1": 2},
        before=0.5,
        after_pruning=0.25,
        finetuned=0.5,
        parameters=10,
        macs=100,
        dense_macs=200,
        next_layers=["conv1"],
        finished=False,
        provenance=provenance_of({}),
    ).write(folder / "seed0/prune.json")
    return folder


READERS: dict[str, Callable[[Path], object]] = {
    "model.safetensors": lambda run: checkpoint.load(
        run / "model.safetensors", run / "model.json"
    ),
    "model.json": lambda run: checkpoint.load(
        run / "model.safetensors", run / "model.json"
    ),
    "history.csv": lambda run: run_result(
        {
            "seed": 0,
            "history": run / "history.csv",
            "description": run / "model.json",
        }
    ),
    "batches.csv": lambda run: ModelDescription.read(run / "model.json").check(
        run / "batches.csv"
    ),
    "prune.json": lambda run: PruneRecord.read(run / "prune.json"),
    "../split.npz": lambda run: dataset(run.parent).training_images(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_named(
    runs: Path, tmp_path: Path, name: str, damage: str
) -> None:
    copytree(runs, tmp_path / "runs")
    run = tmp_path / "runs/seed0"
    READERS[name](run)
    other = runs / "seed1" / name
    path = run / name
    if not other.exists() or name.startswith(".."):
        other = run / "model.json"
    path.write_bytes(DAMAGES[damage](path.read_bytes(), other.read_bytes()))
    with pytest.raises(LabmillError) as caught:
        READERS[name](run)
    lines = str(caught.value).splitlines()
    # With another run's model.json it is the weights that do not belong to it.
    named = path.name if (name, damage) != ("model.json", "other") else "safetensors"
    assert named in lines[0] and len(lines) <= 3


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["done.json", "done.safetensors"])
def test_a_damaged_result_is_trained_again(
    runs: Path, tmp_path: Path, name: str, damage: str
) -> None:
    copytree(runs, tmp_path / "runs")
    run = tmp_path / "runs/seed0"
    before = (run / "model.safetensors").read_bytes()
    path = run / "state" / name
    other = (runs / "seed1/state" / name).read_bytes()
    changed = DAMAGES[damage](path.read_bytes(), other)
    path.unlink()
    path.write_bytes(changed)
    for lost in ("model.safetensors", "model.json"):
        (run / lost).unlink()
    again = trained(tmp_path / "runs", 0)
    assert (again / "model.safetensors").read_bytes() == before
    rows = ModelDescription.read(again / "model.json").history(again / "history.csv")
    kept = json.loads((runs / "seed0/state/done.json").read_text())["history"]
    assert [row.train_loss for row in rows] == [row["train_loss"] for row in kept]


def test_half_a_line_of_openings_is_skipped(tmp_path: Path, caplog) -> None:
    path = tmp_path / "test_openings.jsonl"
    line = json.dumps({"who": "a", "part": "p", "weights": "w"}) + "\n"
    append(path, line)
    append(path, line[:20])
    append(path, line.replace('"a"', '"b"'))
    assert openings(path) == {"a": 1, "b": 1}
    assert "test_openings.jsonl: line 2 is damaged" in caplog.text
