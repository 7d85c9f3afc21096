"""runs.csv and index.json: every run a row, failures included."""

import math
from pathlib import Path

import numpy as np
import pytest

from helpers.finish_report import finish
from helpers.synthetic_results import CLASSES, TEST, make_results
from labmill.core.csv_tables import number, read_table
from labmill.core.files import read_json
from labmill.report.run_table import as_table, differing
from labmill.report.runs import Run


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a diverged and a failed run."""
    root = tmp_path_factory.mktemp("troubled")
    return finish(root, *make_results(root, diverged=True, failed=True))


def rows(results: Path, **identity: object) -> list[dict]:
    """The rows of runs.csv with that identity."""
    return [
        row
        for row in read_table(results / "runs.csv")
        if all(row[key] == value for key, value in identity.items())
    ]


def test_one_row_per_stage_of_each_run(results: Path):
    table = read_table(results / "runs.csv")
    identity = [(r["variant"], r["seed"], r["stage"]) for r in table]
    assert len(identity) == len(set(identity)) == 5 * 3 + 3 * 3 + 12
    assert len(rows(results, kind="variant", stage="dense")) == 15
    assert len(rows(results, kind="point")) == 12


def test_cells_are_what_the_files_say(results: Path):
    (row,) = rows(results, variant="cnn", seed=1, stage="prune_3")
    folder = results / "cnn/seed1/prune_3"
    metrics = read_json(folder / "metrics.json")
    with np.load(folder / "predictions.npz") as file:
        right = (file["test_logits"].argmax(1) == file["test_labels"]).mean()
    assert row["test_accuracy"] == metrics["parts"]["test"]["accuracy"] == right
    assert row["test_n"] == TEST
    assert row["finetuned"] == read_json(folder / "prune.json")["finetuned"]
    assert row["parameters"] == read_json(folder / "prune.json")["parameters"]
    assert row["latency_ms_b1"] is None, "only the first seed is measured"
    (first,) = rows(results, variant="cnn", seed=0, stage="dense")
    timing = read_json(results / "cnn/seed0/dense/measure.json")["latency"][1]
    assert first["latency_ms_b32"] == timing["median_ms"]
    assert first["latency_ms_b32_q1"] == timing["q1_ms"]
    names = [key for key in first if key.startswith("class_accuracy.")]
    assert names == [f"class_accuracy.{name}" for name in CLASSES]


def test_settings_that_differ_and_no_others(results: Path):
    columns = read_table(results / "runs.csv")[0].keys()
    assert {"model.positions", "model.activation", "training.batch_size"} <= set(
        columns
    )
    assert "training.epochs" not in columns, "it is the same for all"


def test_diverged_run_keeps_its_row(troubled: Path):
    (row,) = rows(troubled, variant="vit_sin_tanh", seed=2)
    assert (row["status"], row["epochs"]) == ("diverged", 3)
    assert math.isfinite(row["train_loss"]), "the last finite loss"


def test_failed_run_is_a_row_with_the_log_s_last_line(troubled: Path):
    (row,) = rows(troubled, variant="vit_learn_tanh", seed=2)
    assert (row["status"], row["reason"]) == ("failed", "Error: out of memory")
    assert row["test_accuracy"] is None
    (told,) = [
        run
        for run in read_json(troubled / "index.json")["runs"]
        if (run["variant"], run["seed"]) == ("vit_learn_tanh", 2)
    ]
    assert (told["status"], told["reason"]) == ("failed", "Error: out of memory")


def test_lost_measurement_does_not_lose_the_run(tmp_path: Path):
    job, index = make_results(tmp_path, seeds=1)
    (tmp_path / "results/synthetic/cnn/seed0/dense/measure.json").unlink()
    results = finish(tmp_path, job, index)
    (row,) = rows(results, variant="cnn", stage="dense")
    assert row["status"] == "completed" and row["test_accuracy"] > 0.9
    assert row["macs"] is None and row["reason"] == "no file for: measure"


def test_nothing_at_all_came_out(tmp_path: Path):
    job, index = make_results(tmp_path, seeds=1)
    for record in index:
        record["files"] = dict.fromkeys(record["files"])
    results = finish(tmp_path, job, index)
    assert {row["status"] for row in read_table(results / "runs.csv")} == {"failed"}


def test_summary_does_not_depend_on_where_the_folder_is(results: Path, tmp_path: Path):
    index = read_json(results / "index.json")
    moved = results.rename(tmp_path / "elsewhere")
    from labmill.archive.rerender import planned_records
    from labmill.report.runs import ResultsFolder
    from labmill.report.summarize import summary

    made = summary(
        index["provenance"],
        planned_records(index),
        ResultsFolder(moved, index["results"]),
    )
    assert [str(v) for v in made.table[0].values() if v is not None] == [
        str(v) for v in read_table(moved / "runs.csv")[0].values() if v is not None
    ]


def test_mixed_code_libraries_and_devices_are_announced(tmp_path: Path):
    from labmill.core.files import write_json

    job, index = make_results(tmp_path, seeds=2)
    assert read_json(finish(tmp_path, job, index) / "index.json")["mixed"] == []
    path = tmp_path / "results/synthetic/cnn/seed1/dense/model.json"
    record = read_json(path)
    record["provenance"]["versions"]["torch"] = "2.14.0"
    record["provenance"]["code"]["training.trainer"] = "0badc0de"
    record["training"]["device"] = "cuda"
    record["provenance"]["device"] = "cuda"
    write_json(path, record)
    mixed = read_json(finish(tmp_path, job, index) / "index.json")["mixed"]
    (said,) = mixed  # all of it parts the same jobs in the same way
    assert "code of training.trainer (" in said and "0badc0de" in said
    assert "torch (" in said and "2.14.0" in said
    assert "device (cpu, cuda)" in said and "(cnn seed 1 dense)" in said


def test_settings_of_different_models_differ():
    made = [
        Run({}, {"stage": "dense"}, settings={"model.name": "a", "model.dim": 1}),
        Run({}, {"stage": "dense"}, settings={"model.name": "b"}),
    ]
    assert differing(made) == ["model.name", "model.dim"]


def test_table_round_trip():
    cells = dict.fromkeys(("variant", "label", "kind", "stage", "status", "reason"))
    row = Run({}, cells | {"model": "x", "seed": 3, "loss": 0.1 + 0.2, "none": None})
    (made,) = as_table([row])
    assert number(str(made["loss"])) == 0.1 + 0.2
    assert (number("3"), number(""), number("x")) == (3, None, "x")
