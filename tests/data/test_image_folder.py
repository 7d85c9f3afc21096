"""The user's own images: sizes, modes and layouts as they come."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.data_records import split_settings
from labmill.core.errors import LabmillError
from labmill.data import image_tree
from labmill.data.datasets.image_folder import decode
from labmill.data.image_tree import find_images
from labmill.data.prepare import prepare
from labmill.data.split import make_splits

RED = (200, 10, 10)


def save(path: Path, mode: str = "RGB", size=(20, 30), colour=None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 0 if colour is None else colour).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two classes, three images each, of mixed sizes, modes and formats."""
    root = tmp_path / "mine"
    save(root / "cats/1.png", "RGBA", (9, 40), (200, 10, 10, 255))
    save(root / "cats/2.JPG", "L", (64, 64), 100)
    save(root / "cats/deep/3.jpeg", "CMYK", (50, 20))
    save(root / "dogs/1.png", "P", (3, 3), 0)
    save(root / "dogs/2.png", "1", (16, 8), 1)
    save(root / "dogs/3.png", "I;16", (33, 33), 257 * 100)
    (root / "dogs/notes.txt").write_text("left out")
    (root / ".hidden").mkdir()
    return root


@pytest.mark.parametrize("channels", [1, 3])
def test_mixed_sizes_and_modes_become_one_array(folder, channels):
    decoded = decode({}, path=str(folder), image_size=12, channels=channels)
    assert decoded.images.shape == (6, channels, 12, 12)
    assert decoded.images.dtype == np.uint8
    assert decoded.classes == ("cats", "dogs") and decoded.train == 6
    assert decoded.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert (decoded.images[1] == 100).all()
    assert (decoded.images[4] == 255).all()
    assert (decoded.images[5] == 100).all()
    if channels == 3:
        assert (decoded.images[0] == np.array(RED)[:, None, None]).all()


def test_transparent_is_white(folder):
    save(folder / "cats/1.png", "RGBA", (8, 8), (0, 0, 0, 0))
    save(folder / "cats/2.JPG", "RGB", (8, 8))
    Image.new("P", (8, 8), 0).save(folder / "dogs/1.png", transparency=0)
    decoded = decode({}, path=str(folder), image_size=4, channels=3)
    assert (decoded.images[0] == 255).all() and (decoded.images[3] == 255).all()


def test_photographs_are_turned_as_their_tag_says(folder):
    picture = Image.new("RGB", (16, 16))
    picture.paste((255, 255, 255), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3
    picture.save(folder / "cats/1.png", exif=exif)
    decoded = decode({}, path=str(folder), image_size=16, channels=1)
    assert decoded.images[0, 0, 0].max() == 0 and decoded.images[0, 0, 15].min() == 255


def test_train_and_test_folders_are_the_official_parts(folder, tmp_path):
    root = tmp_path / "parts"
    root.mkdir()
    (root / "train").symlink_to(folder)
    for name in ("cats", "dogs"):
        save(root / "test" / name / "9.png", colour=RED)
    decoded = decode({}, path=str(root), image_size=8)
    assert decoded.train == 6 and decoded.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert find_images(str(root)).classes == ("cats", "dogs")
    parts = make_splits(
        decoded.labels,
        decoded.official,
        split_settings(validation=1),
        kept=[0, 1],
        names=decoded.classes,
    )
    assert parts.test.tolist() == [6, 7]


def test_the_card_follows_the_contents_of_the_files(folder, tmp_path):
    def card() -> dict:
        paths = {name: tmp_path / name for name in ("images", "labels", "card")}
        arguments = {"path": str(folder), "image_size": 8, "channels": 3}
        prepare("image_folder", arguments, **paths, downloads=tmp_path / "downloads")
        return json.loads(paths["card"].read_text())

    first = card()
    assert first == card()
    assert first["official"] == {"train": 6, "validation": 0, "test": 0}
    assert (first["image_size"], first["channels"]) == (8, 3)
    assert first["classes"] == ["cats", "dogs"]
    (folder / "dogs/notes.txt").write_text("still left out")
    assert card()["digests"] == first["digests"]
    save(folder / "dogs/2.png", "1", (16, 8), 0)
    second = card()
    assert second["digests"] != first["digests"]
    assert second["digest"] != first["digest"]


def test_the_digest_follows_names_and_contents(folder, tmp_path):
    def digest() -> str:
        return find_images(str(folder)).digest(tmp_path / "notes")

    first = digest()
    (folder / "dogs/notes.txt").write_text("longer than it was")
    (folder / "cats/1.png").touch()
    assert digest() == first
    save(folder / "cats/4.png")
    with_another = digest()
    assert with_another != first
    (folder / "cats/4.png").rename(folder / "dogs/4.png")
    assert digest() not in (first, with_another)


def test_an_image_replaced_by_another_of_its_size_is_noticed(folder, tmp_path):
    """Labels swapped with times and sizes kept, as `cp -p` and `mv` do it."""
    one, two = folder / "cats/1.png", folder / "dogs/1.png"
    contents = [b"\x89PNG one", b"\x89PNG two"]
    old = 1_600_000_000
    for path, content in zip((one, two), contents, strict=True):
        path.write_bytes(content)
        os.utime(path, (old, old))
    notes = tmp_path / "notes"
    first = find_images(str(folder)).digest(notes)
    assert find_images(str(folder)).digest(notes) == first
    for path, content in zip((one, two), reversed(contents), strict=True):
        path.write_bytes(content)
        os.utime(path, (old, old))
    assert find_images(str(folder)).digest(notes) != first


def test_unchanged_images_are_not_read_again(folder, tmp_path, monkeypatch):
    tree = find_images(str(folder))
    monkeypatch.setattr(image_tree, "SETTLED_NS", -(10**12))
    first = tree.digest(tmp_path)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert tree.digest(tmp_path) == first


def broken(folder: Path, kind: str) -> str:
    """Spoil the folder; the path to give."""
    if kind == "no folder":
        return str(folder / "nowhere")
    if kind == "no image":
        (folder / "cats/1.png").write_bytes(b"not an image")
    if kind == "cut off":
        data = (folder / "cats/2.JPG").read_bytes()
        (folder / "cats/2.JPG").write_bytes(data[: len(data) // 2])
    if kind == "another format":
        Image.new("RGB", (4, 4)).save(folder / "cats/1.png", format="GIF")
    if kind == "empty class":
        (folder / "empty").mkdir()
    if kind == "one class":
        return str(folder / "cats")
    if kind == "different classes":
        parts = folder.parent / "parts"
        save(parts / "train/cats/1.png")
        save(parts / "train/dogs/1.png")
        save(parts / "test/cats/1.png")
        return str(parts)
    return str(folder)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no folder", "is not a folder"),
        ("no image", r"cats/1\.png: cannot be read"),
        ("cut off", r"cats/2\.JPG: cannot be read"),
        ("another format", r"cats/1\.png: cannot be read"),
        ("empty class", r"empty: no images; allowed: \.png"),
        ("one class", "at least two"),
        ("different classes", "in one only: dogs"),
    ],
)
def test_a_folder_of_another_shape_is_one_clear_message(folder, kind, message):
    with pytest.raises(LabmillError, match=message):
        decode({}, path=broken(folder, kind), image_size=8)
