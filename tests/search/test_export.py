"""The MLflow store, read back through MLflow's own client."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labmill.errors import LabmillError
from labmill.export import mlflow_export
from labmill.training.train import HISTORY

LAYERS = [f"conv {i}" for i in range(9)]


def client_of(store):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=store.resolve().as_uri())


@pytest.fixture
def place(tmp_path):
    """Two runs as the workflow leaves them: a dense one, and one that failed."""
    results = tmp_path / "results" / "smoke" / "tiny"
    folder = results / "cnn" / "seed0" / "dense"
    folder.mkdir(parents=True)
    with (folder / "history.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, HISTORY)
        table.writeheader()
        for epoch in (1, 2, 3):
            row = {"epoch": epoch, "train_loss": 1 / epoch, "seconds": 2.0 * epoch}
            row["validation_accuracy"] = 0.25 * epoch if epoch != 2 else ""
            table.writerow(row)
    many = {f"key_{i}": i for i in range(150)}
    files = {
        "model.json": {
            "name": "cnn",
            "arguments": {"layers": LAYERS, "activation": "relu"},
            "training": {"status": "completed", "wall_seconds": 7.5},
            "provenance": {
                "settings": {"training": {"learning_rate": 0.001, **many}},
                "fingerprint": "abc123",
                "date": "2026-01-02T03:04:05+00:00",
            },
        },
        "metrics.json": {
            "classes": ["a/b", "c"],
            "parts": {"test": {"accuracy": 0.75, "class_f1": {"a & b": 0.5, "c": 1}}},
            "provenance": {"settings": {"never": 99}},
        },
        "measure.json": {
            "macs": 1234,
            "latency": [{"batch": 1, "median_ms": 0.5}, {"batch": 32, "median_ms": 4}],
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(b"weights")
    planned = "results/smoke/tiny"
    names = {
        "model": "model.safetensors",
        "description": "model.json",
        "history": "history.csv",
        "metrics": "metrics.json",
        "measure": "measure.json",
    }
    base = {"variant": "cnn", "label": "CNN", "kind": "variant", "stage": "dense"}
    runs = [
        base
        | {"seed": seed, "status": status, "reason": reason}
        | {
            "files": {
                k: f"{planned}/cnn/seed{seed}/dense/{v}" for k, v in names.items()
            }
        }
        for seed, status, reason in (
            (0, "completed", None),
            (1, "failed", "out of memory"),
        )
    ]
    index = {"study": "tiny", "scale": "smoke", "results": planned, "runs": runs}
    (results / "index.json").write_text(json.dumps(index))
    return results


def runs_of(store):
    client = client_of(store)
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = client.search_runs([experiment.experiment_id])
    return client, experiment, {run.data.tags["mlflow.runName"]: run for run in runs}


def test_everything_is_read_back(place, tmp_path):
    store = tmp_path / "mlflow"
    mlflow_export(place / "index.json", store)
    client, experiment, runs = runs_of(store)
    assert experiment.name == "smoke/tiny"
    assert set(runs) == {"cnn/seed0/dense", "cnn/seed1/dense"}
    run = runs["cnn/seed0/dense"]
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 7500
    params = run.data.params
    assert params["training.learning_rate"] == "0.001"
    assert params["training.key_149"] == "149"
    assert params["arguments.layers"] == str(LAYERS)
    assert (params["variant"], params["seed"], params["stage"]) == ("cnn", "0", "dense")
    assert run.data.tags["fingerprint"] == "abc123"
    metrics = run.data.metrics
    assert metrics["parts.test.accuracy"] == 0.75
    assert metrics["parts.test.class_f1.a _ b"] == 0.5
    assert metrics["macs"] == 1234
    assert (metrics["latency_ms_b1"], metrics["latency_ms_b32"]) == (0.5, 4)
    assert not any("never" in name for name in metrics)
    history = client.get_metric_history(run.info.run_id, "validation_accuracy")
    assert [(m.step, m.value) for m in history] == [(1, 0.25), (3, 0.75)]
    losses = client.get_metric_history(run.info.run_id, "train_loss")
    assert [m.step for m in losses] == [1, 2, 3]
    artifacts = {a.path for a in client.list_artifacts(run.info.run_id)}
    assert artifacts == {
        *("model.json", "metrics.json", "measure.json"),
        *("history.csv", "model.safetensors"),
    }
    local = client.download_artifacts(
        run.info.run_id, "model.safetensors", str(tmp_path)
    )
    assert Path(local).read_bytes() == b"weights"


def test_a_failed_run_says_why(place, tmp_path):
    mlflow_export(place / "index.json", tmp_path / "mlflow")
    _, _, runs = runs_of(tmp_path / "mlflow")
    failed = runs["cnn/seed1/dense"]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["reason"] == "out of memory"
    assert failed.data.metrics == {}


def test_again_replaces_and_never_adds(place, tmp_path):
    for _ in range(2):
        mlflow_export(place / "index.json", tmp_path / "mlflow")
    assert len(runs_of(tmp_path / "mlflow")[2]) == 2


def test_something_else_is_not_overwritten(place, tmp_path):
    with pytest.raises(LabmillError, match="is no MLflow store"):
        mlflow_export(place / "index.json", place)
    assert (place / "index.json").exists()
    with pytest.raises(LabmillError, match="no such file; run the study first"):
        mlflow_export(tmp_path / "index.json", tmp_path / "mlflow")


def test_the_network_is_not_touched(place, tmp_path):
    """In a process of its own, whose sockets may not connect anywhere."""
    code = """
import socket, sys
from pathlib import Path
def refused(*_):
    print("connected", file=sys.stderr)
    raise OSError
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refused
from labmill.export import mlflow_export
mlflow_export(Path(sys.argv[1]), Path(sys.argv[2]))
"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
    done = subprocess.run(
        [sys.executable, "-c", code, place / "index.json", tmp_path / "mlflow"],
        capture_output=True,
        text=True,
        env=clean,
        check=True,
    )
    assert "connected" not in done.stderr
