"""Folders of images as users have them: read right, refused, or counted; never dropped."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labmill.core.errors import LabmillError
from labmill.data.datasets import image_folder
from labmill.data.datasets.image_folder import decode
from labmill.data.image_tree import find_images
from labmill.plan.plan import Plan

FOLDERS = 120


def draw(path: Path, colour: int, size=(6, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, colour).save(path)


def make(root: Path, parts: list[str], classes=("ant", "bee"), count: int = 3) -> Path:
    """Draw `count` images per class and part; no part is the root itself."""
    for p, part in enumerate(parts):
        for c, name in enumerate(classes):
            for i in range(count):
                draw(root / part / name / f"{i}.png", 100 * p + 40 * c + i)
    return root


# --- parts (FAULTS 01, USERS A1) -------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "train", "validation", "test"),
    [
        (["train", "val", "test"], 6, 6, 6),
        (["train", "val"], 6, 6, 0),
        (["Train", "Test"], 6, 0, 6),
        (["TRAINING", "Valid", "testing"], 6, 6, 6),
        (["train", "validation", "test", "__MACOSX"], 6, 6, 6),
        (["train"], 6, 0, 0),
    ],
)
def test_folders_named_like_parts_are_parts(tmp_path, names, train, validation, test):
    decoded = decode({}, path=str(make(tmp_path, names)), image_size=4)
    assert decoded.classes == ("ant", "bee")
    official = decoded.official
    assert (official.train, official.validation, official.test) == (
        train,
        validation,
        test,
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train", "test", "extra"], "found extra next to"),
        (["train", "test", "ant"], "found ant next to"),
        (["val", "test"], "no train/"),
        (["train", "Train", "test"], "all named like the train part"),
        (["val", "valid", "train"], "all named like the validation part"),
        (["ant/train", "ant/test", "bee"], "inside of a class"),
        (["training_set", "test_set"], "name them train/, validation/ and test/"),
        (["seg_train", "seg_test", "seg_val"], "name them train/"),
    ],
)
def test_what_is_no_clear_layout_is_refused(tmp_path, names, message):
    with pytest.raises(LabmillError, match=message):
        find_images(str(make(tmp_path, names)))


def test_parts_without_class_folders_are_no_classes(tmp_path):
    for name in ("train", "test"):
        draw(tmp_path / name / "1.png", 5)
    with pytest.raises(LabmillError, match="hold no class folders"):
        find_images(str(tmp_path))


def test_a_class_may_be_called_train(tmp_path):
    make(tmp_path, ["."], classes=("bus", "car", "train"))
    assert find_images(str(tmp_path)).classes == ("bus", "car", "train")


# --- links and hidden folders (FAULTS 08, USERS A4) ------------------------------------


def test_linked_folders_are_read_and_broken_links_named(tmp_path):
    root = make(tmp_path / "images", ["."])
    for i in range(4):
        draw(tmp_path / "store" / f"{i}.png", 200 + i)
    (root / "ant/more").symlink_to(tmp_path / "store")
    (root / "ant/again").symlink_to(root / "ant")
    tree = find_images(str(root))
    assert tree.counts() == {"train": [7, 3]}
    assert any("again" in note for note in tree.notes)
    for i in range(5, 10):
        (root / f"bee/{i}.png").symlink_to("/nowhere")
    for loop in (root / "loop", root / "bee/loop.png"):
        loop.symlink_to(loop)
    with pytest.raises(LabmillError) as error:
        find_images(str(root))
    assert all(f"bee/{i}.png" in str(error.value) for i in range(5, 10))
    assert all(
        f"{where}: a link that leads nowhere" in str(error.value)
        for where in (root / "loop", root / "bee/loop.png")
    )
    skipped = find_images(str(root), "skip")
    assert f"skipped: {root}/bee/loop.png" in str(skipped)
    assert decode({}, path=str(root), image_size=4, broken="skip").left_out == {
        "broken": 7
    }


def test_one_file_in_two_classes_is_refused(tmp_path):
    make(tmp_path, ["."])
    (tmp_path / "bee/copy.png").hardlink_to(tmp_path / "ant/0.png")
    with pytest.raises(LabmillError, match="of another class"):
        find_images(str(tmp_path))


def test_hidden_folders_are_skipped_at_every_depth(tmp_path):
    make(tmp_path, ["."])
    draw(tmp_path / "ant/.ipynb_checkpoints/0-checkpoint.png", 1)
    draw(tmp_path / "ant/deep/.cache/deeper/0.png", 1)
    assert find_images(str(tmp_path)).counts() == {"train": [3, 3]}


# --- files (USERS B4, B5; FAULTS L4, 20) -----------------------------------------------


def test_names_that_are_not_utf8(tmp_path):
    make(tmp_path, ["."])
    shutil.copy(tmp_path / "ant/0.png", os.fsencode(tmp_path) + b"/ant/caf\xe9.png")
    decoded = decode({}, path=str(tmp_path), image_size=4)
    assert decoded.official.train == 7
    find_images(str(tmp_path)).digest(tmp_path / "notes")
    (tmp_path / "bee").rename(tmp_path / os.fsdecode(b"b\xe9e"))
    with pytest.raises(LabmillError, match="no name that can be shown"):
        find_images(str(tmp_path))


def test_all_broken_files_are_named_at_once(tmp_path, caplog):
    make(tmp_path, ["."], count=9)
    for i in range(4):
        (tmp_path / f"ant/{i}.png").write_bytes(b"not an image")
    whole = (tmp_path / "bee/5.png").read_bytes()
    (tmp_path / "bee/5.png").write_bytes(whole[:40])
    with pytest.raises(LabmillError) as error:
        decode({}, path=str(tmp_path), image_size=4)
    for name in ("ant/0.png", "ant/1.png", "ant/2.png", "ant/3.png", "bee/5.png"):
        assert name in str(error.value)
    decoded = decode({}, path=str(tmp_path), image_size=4, broken="skip")
    assert decoded.official.train == 13 and len(decoded.images) == 13
    assert "ant/2.png" in caplog.text
    for i in range(9):
        (tmp_path / f"ant/{i}.png").write_bytes(b"not an image")
    with pytest.raises(LabmillError, match="no train image of class 'ant'"):
        decode({}, path=str(tmp_path), image_size=4, broken="skip")


def test_what_is_left_out_is_counted_by_ending(tmp_path, caplog):
    make(tmp_path, ["."])
    for name in ("ant/a.webp", "ant/b.WEBP", "bee/Thumbs.db", "notes.txt", "loose.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    decoded = decode({}, path=str(tmp_path), image_size=4)
    assert decoded.left_out == {
        ".webp": 2,
        ".db": 1,
        ".txt": 1,
        ".png outside of class folders": 1,
        "__MACOSX/": 1,
    }
    assert "2 .webp" in caplog.text and "1 __MACOSX/" in caplog.text


def test_home_is_expanded_and_an_empty_path_is_none(tmp_path, monkeypatch):
    make(tmp_path / "pics", ["."])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_images("~/pics").classes == ("ant", "bee")
    for path in ("", "  ", "~nobody-of-this-name/pics", "a\0b", "nowhere"):
        with pytest.raises(LabmillError):
            find_images(path)


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    make(tmp_path, ["."])
    draw(tmp_path / "ant/big.png", 0, (400, 300))
    monkeypatch.setattr(image_folder, "MOST_PIXELS", 100_000)
    with pytest.raises(LabmillError, match=r"big\.png.*120000 pixels"):
        decode({}, path=str(tmp_path), image_size=4)


def test_a_large_pool_lies_in_a_file(tmp_path, monkeypatch):
    make(tmp_path / "pics", ["."])
    monkeypatch.chdir(tmp_path)
    small = decode({}, path="pics", image_size=4)
    monkeypatch.setattr(image_folder, "MOST_ARRAY_BYTES", 10)
    large = decode({}, path="pics", image_size=4)
    assert isinstance(large.images, np.memmap)
    assert np.array_equal(small.images, large.images)
    assert [p.name for p in tmp_path.iterdir()] == ["pics"]


# --- any folder ------------------------------------------------------------------------


@dataclass
class Expected:
    """What a generated folder holds, or that it must be refused."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: bool = False


def foreign(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    name = dice.choice(["notes.txt", "Thumbs.db", "clip.gif", "photo.webp", "README"])
    (folder / name).write_bytes(dice.randbytes(9))


def hidden(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    draw(folder / dice.choice([".cache", ".git/objects"]) / "1.png", 9)


def nested(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    draw(folder / "more/and more" / "x.PNG", dice.randrange(256))
    part, name = (
        folder.relative_to(root).parts[-2:]
        if folder.parent != root
        else (
            "",
            folder.name,
        )
    )
    expected.counts[part, name] += 1


def cut(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    image = dice.choice(sorted(folder.glob("*.png")))
    image.write_bytes(image.read_bytes()[: dice.choice([0, 20, 40])])
    expected.refused = True


def lost(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    (folder / "lost.png").symlink_to("/nowhere/at/all.png")
    expected.refused = True


def loop(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    (folder / "up").symlink_to(folder)


def pipe(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    os.mkfifo(folder / "pipe.png")
    expected.refused = True


def latin(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    image = sorted(folder.glob("*.png"))[0]
    image.rename(folder / os.fsdecode(b"caf\xe9\n.png"))


def stray(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    draw(folder.parent / "loose.png", 3)


def mac(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    draw(root / "__MACOSX/ant/._0.png", 3)


def empty(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    (folder.parent / "empty").mkdir(exist_ok=True)
    expected.refused = True


def beside(root: Path, folder: Path, expected: Expected, dice: random.Random) -> None:
    make(root / "extra", ["."])
    expected.refused = folder.parent != root
    if folder.parent == root:
        expected.counts["", "extra"] += 6


CHANGES: list[Callable[..., None]] = [
    *(foreign, hidden, nested, cut, lost, loop, pipe, latin, stray, mac, empty, beside)
]
LAYOUTS = [
    ["."],
    ["train"],
    ["train", "test"],
    ["Train", "VAL"],
    ["train", "valid", "test"],
    ["training", "dev", "testing"],
]


@pytest.mark.parametrize("number", range(FOLDERS))
def test_any_folder_is_read_right_or_refused(tmp_path, number):
    dice = random.Random(number)
    root = tmp_path / "images"
    layout = dice.choice(LAYOUTS)
    classes = dice.choice([("ant", "bee"), ("ant", "bee", "cow of 12"), ("Ü", "日本")])
    make(root, layout, classes, dice.randint(1, 4))
    parts = [part for part in layout if part != "."]
    expected = Expected()
    for path in root.rglob("*.png"):
        below = path.relative_to(root).parts
        expected.counts[below[0] if parts else "", below[-2]] += 1
    for change in dice.sample(CHANGES, dice.choice([0, 1, 1, 2, 3])):
        part = dice.choice(layout)
        change(root, root / part / dice.choice(classes), expected, dice)
    try:
        find_images(str(root)).digest(tmp_path / "notes")
        decoded = decode({}, path=str(root), image_size=4, channels=1)
    except LabmillError as error:
        assert expected.refused, error
        return
    assert not expected.refused
    found: Counter[tuple[str, str]] = Counter()
    start = 0
    for part, name in zip(find_images(str(root)).parts, parts or [""], strict=True):
        size = getattr(decoded.official, part)
        for label in decoded.labels[start : start + size]:
            found[name, decoded.classes[label]] += 1
        start += size
    assert found == expected.counts


# --- what a study says of a folder (FAULTS 01, 09, 17) ----------------------------------


def planned(tmp_path: Path, monkeypatch, root: Path, data: str = "") -> str:
    """Return the fingerprint of the download of a study about a folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(
        f"title: x\ndata:\n  dataset: image_folder\n  arguments: {{path: {root}}}\n"
        f"{data}variants:\n  a: {{model: {{name: cnn, layers: [flatten]}}}}\n"
    )
    return Plan(path).download_job().fingerprint


@pytest.mark.parametrize(
    ("count", "data", "message"),
    [
        (
            2,
            "",
            r"study.yaml:4: data.arguments.path: class 'ant' .* has 2 train images; "
            "expected at least 3, one for each of test, validation, train",
        ),
        (4, "  test: 3\n", "study.yaml:5: data.test: .* 3 of the 4 .* 2 must be left"),
        (
            5,
            "  validation: 4\n",
            r"study.yaml:5: data.validation: found 4, .* class 'ant",
        ),
        (9, "  classes: [ant, cat]\n", r"study.yaml:5: data.classes: .*'cat'"),
    ],
)
def test_too_few_images_name_line_class_and_folder(
    tmp_path, monkeypatch, count, data, message
):
    make(tmp_path / "pics", ["."], count=count)
    with pytest.raises(LabmillError, match=message) as error:
        planned(tmp_path, monkeypatch, tmp_path / "pics", data)
    assert "classes" in data or f"of {tmp_path / 'pics'}" in str(error.value)


def test_a_misspelled_path_has_the_nearest(tmp_path, monkeypatch):
    make(tmp_path / "pets", ["."], count=1)
    for written in (tmp_path / "pest", "pest/inside"):
        with pytest.raises(LabmillError, match=r"path: .*pest.*did you mean '.*pets'"):
            planned(tmp_path, monkeypatch, written)


def test_swapped_images_make_the_download_stale(tmp_path, monkeypatch):
    root = make(tmp_path / "pics", ["."], count=12)
    for path in root.rglob("*.png"):
        Image.new("L", (6, 6), int(path.stem)).save(path, compress_level=0)
    first = planned(tmp_path, monkeypatch, root)
    assert planned(tmp_path, monkeypatch, root) == first
    one, two = root / "ant/1.png", root / "bee/2.png"
    contents = one.read_bytes(), two.read_bytes()
    assert len(contents[0]) == len(contents[1])
    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    assert planned(tmp_path, monkeypatch, root) != first
