"""Every dataset of the folder, and the built-in ones against upstream's figures."""

import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.data_records import split_settings
from helpers.patience import SLOW
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.data.arrays import TrainingData
from labmill.data.augment import Augmentation
from labmill.data.datasets import mnist
from labmill.data.idx import read_idx
from labmill.data.prepare import mean_and_std, prepare
from labmill.data.split import split

# Upstream's figures; digits: scikit-learn's description, statistics computed here.
OFFICIAL = {
    "digits": (1797, 0, [0.3053], [0.3759]),
    "mnist": (60_000, 10_000, [0.1307], [0.3081]),
    "fashion_mnist": (60_000, 10_000, [0.2860], [0.3530]),
    "cifar10": (
        50_000,
        10_000,
        [0.4914, 0.4822, 0.4465],
        [0.2470, 0.2435, 0.2616],
    ),
}


def outputs(folder: Path) -> dict[str, Path]:
    return {
        "images": folder / "images.npy",
        "labels": folder / "labels.npy",
        "card": folder / "card.json",
    }


@pytest.fixture(scope="module")
def mirror() -> str:
    if not (found := os.environ.get("LABMILL_MIRROR")):
        pytest.skip("LABMILL_MIRROR is not set: no real bytes to decode")
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("real")


def test_the_folder_holds_the_five_datasets():
    assert {*OFFICIAL, "image_folder"} <= {*registry.names("data/datasets")}


@pytest.mark.parametrize("name", registry.names("data/datasets"))
def test_constants_stand_in_the_source(name):
    constants = registry.constants("data/datasets", name)
    needed = {
        "CLASSES",
        "IMAGE_SIZE",
        "CHANNELS",
        "ORIGIN",
        "LICENCE",
    }
    assert needed <= {*constants}
    assert ("SOURCES" in constants) == ("URLS" in constants)
    for entry in constants.get("SOURCES", {}).values():
        assert len(bytes.fromhex(entry["sha256"])) == 32 and entry["size"] > 0
    for url in constants.get("URLS", ()):
        assert url.endswith("/")
    Augmentation(constants.get("AUGMENTATION", {}), constants["IMAGE_SIZE"] or 32)


def check(name: str, paths: dict[str, Path]) -> None:
    """A prepared dataset is what its constants and upstream say."""
    constants = registry.constants("data/datasets", name)
    train, test, mean, std = OFFICIAL[name]
    images, labels = np.load(paths["images"], mmap_mode="r"), np.load(paths["labels"])
    card = json.loads(paths["card"].read_text())
    size = constants["IMAGE_SIZE"]
    assert images.dtype == np.uint8 and labels.dtype == np.int64
    assert images.shape == (train + test, constants["CHANNELS"], size, size)
    assert {*labels.tolist()} == {*range(len(constants["CLASSES"]))}
    assert tuple(card["classes"]) == constants["CLASSES"]
    assert card["official"] == {"train": train, "validation": 0, "test": test}
    assert [round(value, 4) for value in card["mean"]] == mean
    assert [round(value, 4) for value in card["std"]] == std
    assert sum(card["class_counts"]["train"]) == train


def test_digits_needs_no_download(tmp_path):
    paths = outputs(tmp_path)
    prepare("digits", {}, **paths, downloads=tmp_path / "downloads")
    check("digits", paths)
    assert np.load(paths["images"]).max() == 255


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_real_bytes_give_upstreams_figures(mirror, store, name):
    paths = outputs(store / name)
    prepare(name, {}, **paths, mirror=mirror, downloads=store / "downloads")
    check(name, paths)


BUILD = """
import re, resource, sys
from pathlib import Path
from labmill.data.prepare import prepare
folder = Path(sys.argv[1])
prepare("cifar10", {}, images=folder / "images.npy", labels=folder / "labels.npy",
        card=folder / "card.json", downloads=folder / "downloads")
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: that of a child begins with its parent's.
peak = re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(peak, used.ru_utime + used.ru_stime)
"""


def test_cifar10_is_decoded_in_bounded_memory_and_time(mirror, store):
    """A second build, in a process of its own, from the archive to the same bytes.

    Processor time, as other jobs of the machine would stretch the wall time.
    """
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(store / "again")],
        capture_output=True,
        text=True,
        check=True,
    )
    memory, seconds = map(float, done.stdout.split())
    unit = 1 if sys.platform == "darwin" else 1024
    assert memory * unit < 1.5e9
    assert seconds < 30
    for name, path in outputs(store / "again").items():
        first = outputs(store / "cifar10")[name]
        assert hashlib.sha256(path.read_bytes()).digest() == (
            hashlib.sha256(first.read_bytes()).digest()
        )


def test_cifar10_is_loaded_in_under_a_second(mirror, store):
    paths = outputs(store / "cifar10")
    files = {key: store / f"{key}.x" for key in ("split", "test", "summary")}
    split(split_settings(unlabelled=20_000), **paths, **files)
    started = time.process_time()
    TrainingData.open(paths["images"], files["split"], paths["card"]).part("train")
    assert time.process_time() - started < SLOW


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


@pytest.fixture
def small_mnist(monkeypatch, site) -> None:
    """MNIST's four files with few images, on the loopback server."""
    order = np.random.default_rng(0)
    sources = {}
    for part, count in (("train", 40), ("t10k", 20)):
        images = order.integers(0, 256, (count, 28, 28), np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            name = f"{part}-{kind}-ubyte.gz"
            data = site.content[name] = idx(array)
            digest = hashlib.sha256(data).hexdigest()
            sources[name] = {"size": len(data), "sha256": digest}
    monkeypatch.setattr(mnist, "SOURCES", sources)
    monkeypatch.setattr(mnist, "URLS", (site.url,))


def test_two_builds_are_byte_identical(small_mnist, site, tmp_path):
    one, two = outputs(tmp_path / "one"), outputs(tmp_path / "two")
    prepare("mnist", {}, **one, downloads=tmp_path / "one")
    prepare(
        "mnist", {}, **two, downloads=tmp_path / "two", mirror=str(tmp_path / "one")
    )
    for name in one:
        assert one[name].read_bytes() == two[name].read_bytes()
    assert all(len(asked) == 1 for asked in site.requests.values())
    images = np.load(one["images"])
    assert images.shape == (60, 1, 28, 28)
    raw = gzip.decompress(site.content["t10k-images-idx3-ubyte.gz"])[16:]
    assert images[40:].tobytes() == raw


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "not a gzip file"),
        (idx(np.zeros((2, 3), np.uint8))[:-9], "not a gzip file"),
        (gzip.compress(b"PNG"), "starts with 000008"),
        (gzip.compress(bytes([0, 0, 8, 3, 0])), "ends inside its header"),
        (gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9, 1])), "found 1 values"),
    ],
    ids=["html", "cut", "png", "header", "short"],
)
def test_a_file_that_is_not_idx_is_refused(tmp_path, content, message):
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(LabmillError, match=message):
        read_idx(path)


def test_mean_and_deviation_are_exact():
    images = np.random.default_rng(0).integers(0, 256, (5000, 3, 4, 4), np.uint8)
    mean, std = mean_and_std(images)
    scaled = images / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), rtol=1e-9)
