"""Forgeries of a finished study, by somebody who knows the format.

After each one `republish` computes metrics, summary and digests from the forged files, as
an honest workflow would. docs/trust.md says what catches each.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from helpers.trained_study import train_stage
from labmill.archive.chain import JOB
from labmill.archive.rerender import planned_records
from labmill.core.csv_tables import write_table
from labmill.core.files import file_digest, finite, read_json, write_json
from labmill.core.fingerprint import digest
from labmill.core.trees import Settings, merge
from labmill.evaluation.metrics import score
from labmill.plan.plan import Plan
from labmill.report.runs import PARTS, ResultsFolder
from labmill.report.summarize import summary

RUN = "cnn/seed0/dense"
OTHER = "cnn/seed1/dense"


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file."""
    value = read_json(path)
    change(value)
    value["provenance"].pop("sha256", None)  # who changes a file can drop its seal
    value.pop("digests", None)
    # Weights and states are hard links: other copies must stay as they are.
    path.unlink()
    write_json(path, value)


def edit_arrays(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the arrays of an npz file."""
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    path.unlink()
    np.savez(path, **arrays)


def republish(results: Path) -> None:
    """Compute metrics, summary and digests from the files as they are now."""
    for path in results.rglob("predictions.npz"):
        metrics = read_json(path.with_name("metrics.json"))
        with np.load(path) as arrays:
            for part in PARTS:
                logits, labels = arrays[f"{part}_logits"], arrays[f"{part}_labels"]
                metrics["parts"][part] |= finite(
                    score(logits, labels, metrics["classes"])
                )
        metrics["provenance"].pop("sha256", None)
        write_json(path.with_name("metrics.json"), metrics)
    index = read_json(results / "index.json")
    place = ResultsFolder(results, index["results"])
    made = summary(index["provenance"], planned_records(index), place)
    write_json(results / "index.json", made.index)
    write_json(results / "claims.json", made.claims)
    write_table(results / "runs.csv", made.table[0], made.table)
    report = read_json(results / "report.json")
    report["consumes"]["summary"] = made.index["provenance"]["fingerprint"]
    write_json(results / "report.json", report)


def list_as_tested(results: Path, run: str) -> None:
    """Put a run's weights into the list of openings, and drop the old digests."""
    edit(results / run / "model.json", lambda _: None)
    path = results / "test_openings.jsonl"
    lines = [
        line if run not in line else change_weights(line, results / run)
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")


def change_weights(line: str, folder: Path) -> str:
    """Return a line of openings with the digest of the weights in a folder."""
    weights = file_digest(folder / "model.safetensors")
    return json.dumps(json.loads(line) | {"weights": weights})


def swapped_logits(results: Path) -> None:
    """Two classes' logits of one wrong image change places."""

    def change(arrays: dict[str, Any]) -> None:
        logits, labels = arrays["test_logits"], arrays["test_labels"]
        image = int(np.flatnonzero(logits.argmax(1) != labels)[0])
        best, true = int(logits[image].argmax()), int(labels[image])
        logits[image, [best, true]] = logits[image, [true, best]]

    edit_arrays(results / RUN / "predictions.npz", change)


def random_weights(results: Path) -> None:
    """Weights of noise, listed as tested."""
    path = results / RUN / "model.safetensors"
    noise = np.random.default_rng(0)
    tensors = {
        name: noise.normal(size=value.shape).astype(value.dtype)
        for name, value in load_file(path).items()
    }
    path.unlink()
    save_file(tensors, path)
    list_as_tested(results, RUN)


def other_weights(results: Path) -> None:
    """Weights of another run, listed as tested."""
    path = results / RUN / "model.safetensors"
    path.unlink()
    shutil.copy(results / OTHER / "model.safetensors", path)
    list_as_tested(results, RUN)


def unlisted_weights(results: Path) -> None:
    """Weights of another run, not listed."""
    path = results / RUN / "model.safetensors"
    path.unlink()
    shutil.copy(results / OTHER / "model.safetensors", path)


def no_weights(results: Path) -> None:
    """No weights, so that nothing can be evaluated again."""
    (results / RUN / "model.safetensors").unlink()


def sealed_labels(results: Path) -> None:
    """Labels of the sealed images that are what one network says."""
    with np.load(results / RUN / "predictions.npz") as file:
        labels = file["test_logits"].argmax(1)

    def change(arrays: dict[str, Any]) -> None:
        arrays["labels" if "labels" in arrays else "test_labels"] = labels

    edit_arrays(results / "test.npz", change)
    for path in results.rglob("predictions.npz"):
        edit_arrays(path, change)


def other_split(results: Path) -> None:
    """A split in which test images of the real one are for training."""

    def change(arrays: dict[str, Any]) -> None:
        with np.load(results / "test.npz") as file:
            arrays["train"] = np.concatenate([arrays["train"], file["test"][:10]])

    edit_arrays(results / "split.npz", change)


def seed_copied(results: Path) -> None:
    """A seed that is the copy of another one."""
    for name in ("predictions.npz", "model.safetensors", "metrics.json"):
        (results / OTHER / name).unlink()
        shutil.copy(results / RUN / name, results / OTHER / name)
    list_as_tested(results, OTHER)


def declared_diverged(results: Path) -> None:
    """A run that did not please, declared diverged."""

    def change(description: Any) -> None:
        description["training"]["status"] = "diverged"

    edit(results / RUN / "model.json", change)


def trained_longer(results: Path) -> None:
    """A run of more epochs than the study says."""
    path = results / RUN / "history.csv"
    text = path.read_text()
    last = text.splitlines()[-1].split(",")
    path.unlink()
    path.write_text(text + ",".join(["3", *last[1:]]) + "\n")

    def change(description: Any) -> None:
        description["training"]["epochs"] = 3

    edit(results / RUN / "model.json", change)


def larger_network(results: Path) -> None:
    """A network that is not the one that the study names."""

    def change(description: Any) -> None:
        description["arguments"]["layers"][0] = "conv 64"

    edit(results / RUN / "model.json", change)


def invented_fingerprint(results: Path) -> None:
    """A fingerprint and code that never were."""

    def change(description: Any) -> None:
        description["provenance"]["fingerprint"] = "f" * 12

    edit(results / RUN / "model.json", change)


def other_settings(results: Path) -> None:
    """Settings of a run that are not the study's, with the fingerprint to match."""

    def change(description: Any) -> None:
        job = description["provenance"]
        job["settings"]["training"]["learning_rate"] = 0.5
        job["fingerprint"] = digest({key: job[key] for key in JOB})

    edit(results / RUN / "model.json", change)


def opened_again(results: Path) -> None:
    """The test set was opened once more than metrics.json says."""
    path = results / "test_openings.jsonl"
    line = next(line for line in path.read_text().splitlines() if RUN in line)
    path.write_text(
        path.read_text() + line.replace('"weights": "', '"weights": "0') + "\n"
    )


def plan_of(results: Path) -> Plan:
    """Return the plan of a study's results."""
    study = results.parents[1] / "studies" / f"{results.name}.yaml"
    return Plan(study, "full")


def retrain(
    results: Path, changed: Settings, *, run: str = RUN, split: Path | None = None
) -> None:
    """Train a run in another way than its record says, and hide the traces."""
    plan = plan_of(results)
    records = read_json(results / "index.json")["runs"]
    (record,) = [one for one in records if one["folder"].endswith(run)]
    for name in record["files"].values():
        if name and "measure" not in name:
            (results.parents[1] / name).unlink()
    openings = results / "test_openings.jsonl"
    others = [one for one in openings.read_text().splitlines() if run not in one]
    openings.write_text("\n".join([*others, ""]))
    job = plan.stage_job(record["variant"], record["seed"], record["stage"])
    settings = merge(json.loads(job.params)["settings"], changed)
    train_stage(plan, record, results.parents[1], settings=settings, split=split)


def trained_on_test_images(results: Path) -> None:
    """A run trained on the sealed images too, and the true split put back."""
    split = results.parent / "other_split.npz"
    with np.load(results / "split.npz") as file:
        arrays = dict(file)
    with np.load(results / "test.npz") as file:
        arrays["train"] = np.concatenate([arrays["train"], file["test"]])
        arrays["labels"][file["test"]] = file["labels"]
    np.savez(split, **arrays)
    retrain(results, {}, split=split)


def chosen_seed(results: Path) -> None:
    """The best of ten seeds, called seed 0."""
    retrain(results, {"seed": 9})


def other_learning_rate(results: Path) -> None:
    """A run with a learning rate that the study does not have."""
    retrain(results, {"training": {"learning_rate": 4e-3}})


def history_shortened(results: Path) -> None:
    """A run of six epochs with a history of two."""
    retrain(results, {"training": {"epochs": 6}})
    path = results / RUN / "history.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]))

    def change(description: Any) -> None:
        description["training"]["epochs"] = 2

    edit(results / RUN / "model.json", change)


def seeds_exchanged(results: Path) -> None:
    """Everything of two seeds, exchanged."""
    aside = results / "aside"
    for name in ("model.safetensors", "predictions.npz", "history.csv", "batches.csv"):
        (results / RUN / name).rename(aside)
        (results / OTHER / name).rename(results / RUN / name)
        aside.rename(results / OTHER / name)
    for run in (RUN, OTHER):
        list_as_tested(results, run)


def prettier_history(results: Path) -> None:
    """A learning curve that is smoother than it was; its last values are true."""
    path = results / RUN / "history.csv"
    head, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    cells[1] = str(float(cells[1]) * 0.8)
    path.unlink()
    path.write_text("\n".join([head, ",".join(cells), *rest, ""]))
    edit(results / RUN / "model.json", lambda _: None)


def timings_divided(results: Path) -> None:
    """Training and latencies ten times as fast as they were."""

    def faster(description: Any) -> None:
        for key in ("seconds", "wall_seconds"):
            description["training"][key] /= 10

    def quicker(measurement: Any) -> None:
        for row in measurement["latency"]:
            row.update({key: row[key] / 10 for key in row if key.endswith("_ms")})

    for path in results.rglob("model.json"):
        edit(path, faster)
    for path in results.rglob("measure.json"):
        edit(path, quicker)


def opening_hidden(results: Path) -> None:
    """The test set was opened once more, and the line removed again."""
    honest = (results / "test_openings.jsonl").read_text()
    opened_again(results)
    (results / "test_openings.jsonl").write_text(honest)


def logits_nudged(results: Path) -> None:
    """Logits changed by less than another processor's rounding could explain."""

    def change(arrays: dict[str, Any]) -> None:
        logits, labels = arrays["test_logits"], arrays["test_labels"]
        logits[np.arange(len(labels)), labels] += 5e-4

    edit_arrays(results / RUN / "predictions.npz", change)


def renamed_author(results: Path, name: str = "Somebody Else") -> None:
    """Everything of somebody else, under another name."""
    study = results.parents[1] / "studies" / f"{results.name}.yaml"
    study.write_text(f"{study.read_text()}author: {{name: {name}}}\n")

    def change(index: Any) -> None:
        job = index["provenance"]
        job["settings"]["study"]["author"]["name"] = name
        job["fingerprint"] = digest({key: job[key] for key in JOB})

    edit(results / "index.json", change)


def deleted_seed(results: Path) -> None:
    """A bad run deleted, as if it had failed."""
    for path in (results / RUN).glob("*.*"):
        path.unlink()
