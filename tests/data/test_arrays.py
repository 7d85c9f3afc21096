"""Damage to the files of a dataset and of a split is found and named."""

import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from helpers.data_records import made_card, split_settings
from labmill.core.errors import LabmillError
from labmill.data import arrays
from labmill.data.arrays import append, load_array, openings, read_npz, save, save_array
from labmill.data.records import Card, SplitSummary
from labmill.data.split import split


@pytest.fixture
def dataset(tmp_path: Path) -> dict[str, Path]:
    """A dataset of two classes with its card."""
    folder = tmp_path / "made"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 4), np.uint8)
    digests = {
        "images.npy": save_array(folder / "images.npy", pixels),
        "labels.npy": save_array(folder / "labels.npy", np.arange(60) % 2),
    }
    made_card(folder / "card.json", arrays=digests, official={"train": 60})
    names = {"images": "images.npy", "labels": "labels.npy", "card": "card.json"}
    return {key: folder / name for key, name in names.items()}


def test_an_array_is_read_once_and_then_only_looked_at(dataset, monkeypatch):
    card = Card.read(dataset["card"])
    monkeypatch.setattr(arrays.hashlib, "file_digest", None)
    assert load_array(dataset["images"], card).shape == (60, 1, 4, 4)
    os.utime(dataset["images"])
    with pytest.raises(TypeError):  # read again: its times changed
        load_array(dataset["images"], card)


@pytest.mark.parametrize("name", ["images", "labels"])
@pytest.mark.parametrize("damage", ["bit", "cut", "zero", "swap", "gone", "text"])
def test_a_damaged_array_is_named(dataset, name, damage, tmp_path):
    path = dataset[name]
    content = bytearray(path.read_bytes())
    times = path.stat()
    if damage == "bit":
        content[-5] ^= 4
    elif damage == "cut":
        del content[-7:]
    elif damage == "zero":
        content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    elif damage == "swap":
        np.save(path, np.zeros(60))
        content = bytearray(path.read_bytes())
    elif damage == "text":
        content = bytearray(b"no array")
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if damage == "gone":
        path.unlink()
    outputs = {key: tmp_path / key for key in ("split", "test", "summary")}
    with pytest.raises(LabmillError, match=rf"{name}\.npy: damaged or missing"):
        split(split_settings(), **dataset, **outputs)


@pytest.mark.parametrize("damage", ["bit", "cut", "zero", "other", "empty", "gone"])
def test_a_damaged_split_is_named(tmp_path, damage):
    path = tmp_path / "split.npz"
    save(path, train=np.arange(100), labels=np.arange(100) % 2)
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[300] ^= 1
    elif damage == "cut":
        del content[200:]
    elif damage == "zero":
        content[100:] = bytes(len(content) - 100)
    elif damage == "other":
        content = bytearray(b"{}")
    path.write_bytes(b"" if damage == "empty" else content)
    if damage == "gone":
        path.unlink()
    with pytest.raises(LabmillError, match=r"split\.npz: damaged"):
        read_npz(path, "train", "labels")


@pytest.mark.parametrize("record", [Card, SplitSummary])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b'{"name": 3}'])
def test_a_damaged_record_is_named(tmp_path, record, content):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(LabmillError, match=r"record\.json: "):
        record.read(path)


def test_half_a_line_of_openings_costs_nothing(tmp_path):
    path = tmp_path / "test_openings.jsonl"
    line = {"who": "v/seed0/dense", "part": "p", "weights": "w"}
    append(path, json.dumps(line) + "\n")
    with path.open("ab") as file:
        file.write(b'{"who": "v/seed1/de')
    assert openings(path) == {"v/seed0/dense": 1}
    append(path, json.dumps(line | {"who": "v/seed1/dense"}) + "\n")
    assert openings(path) == {"v/seed0/dense": 1, "v/seed1/dense": 1}


def test_a_full_disk_is_one_message_and_leaves_no_file(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(LabmillError, match=r"images\.npy: cannot be written"):
            save_array(tmp_path / "images.npy", np.ones((100, 1000), np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
