"""Rule mlflow: all runs of a study as an MLflow store, for those who use its UI.

    MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri results/<study>/mlflow

MLflow's own database store needs more packages than `mlflow-skinny` brings; the file
store needs none, and `mlflow migrate-filestore` turns it into a database.
"""

import csv
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from labmill.errors import LabmillError
from labmill.runtime import log, read_json

# Files whose scalar figures become metrics, by their key in the index.
FIGURES = ("metrics", "measure", "prune")
# MLflow takes at most that many metrics and parameters in one call, and characters.
METRICS, PARAMS = 1000, 100
LONGEST = 6000


def mlflow_export(index: Path, out: Path) -> None:
    """Write the runs of a study's index.json into a new MLflow file store `out`.

    One experiment per study; one MLflow run per (variant, seed, stage): its settings as
    parameters, history.csv by epoch and the figures of metrics, measure and prune.json
    as metrics, its files as artifacts. An earlier store at `out` is replaced. Nothing
    is sent anywhere. LabmillError when the index is missing or `out` is something else.
    """
    if not index.exists():
        raise LabmillError(f"{index}: no such file; run the study first")
    if out.exists():
        if not (out / "0" / "meta.yaml").exists():
            raise LabmillError(f"{out}: exists and is no MLflow store; remove it")
        shutil.rmtree(out)
    # Both are read on import; without the first MLflow would report its use.
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    from mlflow.tracking import MlflowClient

    content = read_json(index)
    records = content["runs"] if isinstance(content, dict) else content
    client = MlflowClient(tracking_uri=out.resolve().as_uri())
    name = "/".join(index.parent.parts).rpartition("results/")[2]
    experiment = client.create_experiment(name or index.parent.name)
    for record in records:
        if "seed" in record:
            export_run(client, experiment, record)
    log.info("%d runs in %s", sum("seed" in r for r in records), out)


def export_run(client: Any, experiment: str, record: Mapping[str, Any]) -> None:
    """One run of the index."""
    from mlflow.entities import Metric, Param

    files = {key: Path(path) for key, path in record["files"].items()}
    described = read_json(files["description"])
    provenance = described["provenance"]
    training = described["training"]
    end = round(datetime.fromisoformat(provenance["date"]).timestamp() * 1000)
    start = end - round(
        1000 * (training.get("wall_seconds") or training.get("seconds") or 0)
    )
    identity = {key: str(record[key]) for key in ("variant", "seed", "stage", "kind")}
    run = client.create_run(
        experiment,
        start_time=start,
        run_name=f"{record['variant']}/seed{record['seed']}/{record['stage']}",
        tags=identity
        | {"status": training["status"], "fingerprint": provenance["fingerprint"]},
    )
    params = {**identity, **dict(leaves(described["arguments"], "arguments"))}
    params |= dict(leaves(provenance["settings"]))
    metrics = [
        Metric(clean(name), value, end, step)
        for name, value, step in [*epochs(files["history"]), *figures(files)]
    ]
    named = [Param(clean(k), str(v)[:LONGEST]) for k, v in params.items()]
    for some in batched(metrics, METRICS):
        client.log_batch(run.info.run_id, metrics=some)
    for some in batched(named, PARAMS):
        client.log_batch(run.info.run_id, params=some)
    for path in files.values():
        client.log_artifact(run.info.run_id, str(path))
    client.set_terminated(run.info.run_id, "FINISHED", end)


def epochs(history: Path) -> Iterator[tuple[str, float, int]]:
    """(column, value, epoch) of every filled cell of history.csv."""
    with history.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            epoch = int(row.pop("epoch"))
            yield from ((name, float(v), epoch) for name, v in row.items() if v)


def figures(files: Mapping[str, Path]) -> Iterator[tuple[str, float, int]]:
    """(name, value, 0) of every number in the JSON files that have figures."""
    for key in FIGURES:
        if key in files:
            content = read_json(files[key])
            content.pop("provenance", None)
            for timing in content.pop("latency", ()):
                yield f"latency_ms_b{timing['batch']}", timing["median_ms"], 0
            for name, value in leaves(content):
                if isinstance(value, int | float) and not isinstance(value, bool):
                    yield name, float(value), 0


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of nested mappings; lists stay whole."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def clean(name: str) -> str:
    """A name of characters that MLflow allows."""
    return "".join(c if c.isalnum() or c in "_-. /:" else "_" for c in name)


def batched(items: list[Any], size: int) -> Iterator[list[Any]]:
    """`items`, at most `size` at a time."""
    for first in range(0, len(items), size):
        yield items[first : first + size]
