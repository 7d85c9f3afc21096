"""Records: every file between stages is read and checked, or named in one message."""

import json
from pathlib import Path

import pytest

from helpers.synthetic_results import make_results
from labmill.core.errors import LabmillError
from labmill.core.records import Record, read_rows
from labmill.evaluation.records import Metrics
from labmill.profiling.records import Measurement
from labmill.pruning.records import PruneRecord
from labmill.training.records import BatchRow, EpochRow, ModelDescription

KINDS: dict[str, type[Record]] = {
    "model.json": ModelDescription,
    "metrics.json": Metrics,
    "measure.json": Measurement,
    "prune.json": PruneRecord,
}
TABLES: dict[str, type[Record]] = {"history.csv": EpochRow, "batches.csv": BatchRow}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    make_results(root)
    return root


@pytest.mark.parametrize("name", KINDS)
def test_a_written_record_has_the_same_content(
    results: Path, tmp_path: Path, name: str
) -> None:
    paths = sorted(results.rglob(name))
    assert paths
    for path in paths:
        found = KINDS[name].read(path)
        found.write(tmp_path / "again.json")
        again = json.loads((tmp_path / "again.json").read_text())
        del again["provenance"]["sha256"]
        assert again == json.loads(path.read_text())


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_as_rows(results: Path, name: str) -> None:
    for path in results.rglob(name):
        assert read_rows(TABLES[name], path)
    with pytest.raises(LabmillError, match=r"no\.csv"):
        read_rows(TABLES[name], results / "no.csv")


def one(results: Path, name: str) -> Path:
    return sorted(results.rglob(name))[0]


DAMAGE = {
    "empty": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "cut": lambda data: data[: len(data) // 2],
    "a list": lambda data: b"[]",
    "no text": lambda data: b"\xff\xfe" + data,
    "another file": lambda data: b'{"title": "a study"}',
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", ["model.json", "metrics.json", "history.csv"])
def test_damage_is_one_message_with_the_file_s_name(
    results: Path, tmp_path: Path, name: str, how: str
) -> None:
    path = tmp_path / name
    path.write_bytes(DAMAGE[how](one(results, name).read_bytes()))
    with pytest.raises(LabmillError) as caught:
        read_rows(EpochRow, path) if name in TABLES else KINDS[name].read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) <= 3


def test_a_file_of_another_stage_is_refused(results: Path) -> None:
    with pytest.raises(LabmillError, match=r"metrics\.json.*Measurement"):
        Measurement.read(one(results, "metrics.json"))
