"""Rule mlflow: all runs of a study as an MLflow store, for those who use its UI.

    MLFLOW_ALLOW_FILE_STORE=true .venv/bin/uvx mlflow ui --backend-store-uri results/<study>/mlflow

`uvx` fetches the whole MLflow, whose server labmill's `mlflow-skinny` leaves out, and
runs it beside `.venv`. A database store would need more packages here too; the file
store needs none, and `mlflow migrate-filestore` turns it into a database.
"""

import csv
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from labmill.errors import LabmillError
from labmill.report.read import Place, choice_of
from labmill.runtime import log, read_json
from labmill.search.chosen import as_used

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
    from mlflow.store.tracking.file_store import FileStore
    from mlflow.tracking import MlflowClient

    content = read_json(index)
    # Made here, since a client keeps what it knows of a store that is gone.
    FileStore(str(out.resolve()))
    client = MlflowClient(tracking_uri=out.resolve().as_uri())
    experiment = client.create_experiment(content["results"].removeprefix("results/"))
    place = Place(index.parent, content["results"])
    for record in content["runs"]:
        export_run(client, experiment, record, place)
    log.info("%d runs in %s", len(content["runs"]), out)


def export_run(
    client: Any, experiment: str, record: Mapping[str, Any], place: Place
) -> None:
    """One run of the index; a failed one with its reason and the files that it has."""
    from mlflow.entities import Metric, Param

    planned = {key: place.path(path) for key, path in record["files"].items() if path}
    files = {key: path for key, path in planned.items() if path.exists()}
    described = read_json(files["description"]) if "description" in files else {}
    provenance, training = (
        described.get("provenance", {}),
        described.get("training", {}),
    )
    date = provenance.get("date")
    end = milliseconds(
        datetime.fromisoformat(date).timestamp() if date else time.time()
    )
    identity = {key: str(record[key]) for key in ("variant", "seed", "stage", "kind")}
    run = client.create_run(
        experiment,
        start_time=end - milliseconds(training.get("wall_seconds", 0)),
        run_name=f"{record['variant']}/seed{record['seed']}/{record['stage']}",
        tags=identity
        | {"status": str(record["status"]), "reason": str(record["reason"] or "")}
        | {"fingerprint": provenance.get("fingerprint", "")},
    )
    metrics = [
        Metric(clean(name), value, end, step)
        for name, value, step in [*epochs(files), *figures(files)]
    ]
    settings = dict(leaves(described.get("arguments", {}), "arguments"))
    used = as_used(provenance.get("settings", {}), choice_of(record, place))
    settings |= dict(leaves(used))
    params = [
        Param(clean(key), str(value)[:LONGEST])
        for key, value in (settings | identity).items()
    ]
    for some in batched(metrics, METRICS):
        client.log_batch(run.info.run_id, metrics=some)
    for some in batched(params, PARAMS):
        client.log_batch(run.info.run_id, params=some)
    for path in files.values():
        client.log_artifact(run.info.run_id, str(path))
    ended = "FAILED" if record["status"] == "failed" else "FINISHED"
    client.set_terminated(run.info.run_id, ended, end)


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, in which MLflow tells times."""
    return round(1000 * seconds)


def epochs(files: Mapping[str, Path]) -> Iterator[tuple[str, float, int]]:
    """(column, value, epoch) of every filled cell of history.csv."""
    if "history" not in files:
        return
    with files["history"].open(newline="", encoding="utf-8") as file:
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
