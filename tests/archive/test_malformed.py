"""Every malformed or hostile archive ends in one message, soon, and without harm."""

import io
import json
import random
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.archives import contents_of, packed_again
from helpers.patience import SLOW
from labmill.archive import unpack as limits
from labmill.archive.archive import CONTENTS, as_json, pack, sha256
from labmill.archive.records import damaged_files
from labmill.archive.unpack import open_archive
from labmill.core.errors import LabmillError

HERE = "results/synthetic"
RUN = f"{HERE}/cnn/seed0/dense"
Change = Callable[[dict[str, bytes]], None]


@pytest.fixture(scope="module")
def small(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive without the code and pictures, which nothing here reads."""

    def change(files: dict[str, bytes]) -> None:
        for name in [*files]:
            if name.startswith("code/") or name.endswith(".svg"):
                del files[name]

    return packed_again(packed, tmp_path_factory.mktemp("small") / "x.zip", change)


def opened(archive: Path, folder: Path) -> list[str]:
    """Unpack an archive and check its files, as everything does that reads one."""
    return damaged_files(open_archive(archive, folder))


def refused(archive: Path, folder: Path) -> str:
    """Return the one message about an archive, given within five seconds."""
    began = time.monotonic()
    try:
        found = opened(archive, folder)
    except LabmillError as error:
        message = str(error)
    else:
        assert found, "accepted"
        message = "\n".join(found)
    assert time.monotonic() - began < 5 * SLOW
    assert "Traceback" not in message
    assert not list(folder.parent.glob("evil*"))
    return message


def in_json(name: str, change: Callable[[Any], Any]) -> Change:
    """Return a change of one JSON file."""

    def changed(files: dict[str, bytes]) -> None:
        value = json.loads(files[name])
        files[name] = as_json(change(value) or value)

    return changed


def put(*keys: str | int, value: Any) -> Callable[[Any], None]:
    """Return a change of one value of a JSON file."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


OUTSIDE = ["/etc/passwd", "../evil", f"{HERE}/../../../evil", "a\\b", "", ".", "~/x"]
PLACES = [
    ("runs", 0, "folder"),
    ("runs", 0, "log"),
    ("runs", 0, "chosen"),
    ("runs", 0, "files", "predictions"),
    ("runs", 0, "files", "metrics"),
    ("searches", "arch"),
]
ODD: list[Any] = [None, 7, "x", [], {}, [[]], True, 1e308, "\x1b[2J", "x" * 100_000]


@pytest.mark.parametrize("keys", PLACES, ids=str)
def test_no_path_of_an_index_leads_out(keys: Any, small: Path, tmp_path: Path):
    for number, value in enumerate([*OUTSIDE, "results/other/x", "data/digits/x"]):
        change = in_json(f"{HERE}/index.json", put(*keys, value=value))
        made = packed_again(small, tmp_path / f"{number}.zip", change)
        message = refused(made, tmp_path / f"out{number}")
        assert "index.json" in message, (value, message)


def test_results_and_study_of_an_archive_lie_inside(small: Path, tmp_path: Path):
    for key in ("results", "study", "scale"):
        for number, value in enumerate([*OUTSIDE, *ODD, "results/quickstart"]):
            made = packed_again(
                small, tmp_path / "x.zip", lambda _: None, **{key: value}
            )
            refused(made, tmp_path / f"{key}{number}")


@pytest.mark.parametrize(
    "name",
    [
        *(f"{HERE}/{name}" for name in ("index.json", "claims.json", "report.json")),
        *(f"{RUN}/{name}" for name in ("model.json", "metrics.json", "measure.json")),
        f"{HERE}/arch/chosen.json",
    ],
)
def test_json_of_any_other_layout(name: str, small: Path, tmp_path: Path):
    honest = json.loads(contents_of(small)[name])
    values: list[Any] = [value for value in ODD if value != []]
    if isinstance(honest, dict):
        for key in honest:
            values += [{k: v for k, v in honest.items() if k != key}]
            values += [honest | {key: 7}, honest | {key: [[None]]}]
    for number, value in enumerate(values):
        made = packed_again(
            small,
            tmp_path / "x.zip",
            lambda files, v=value: files.update({name: as_json(v)}),
        )
        try:
            refused(made, tmp_path / f"out{number}")
        except AssertionError as error:
            # A key that nothing reads may be missing, or be anything.
            assert "accepted" in str(error), error


def raw(files: dict[str, bytes], out: Path) -> Path:
    """Write any zip."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    return out


def array_header(shape: str) -> bytes:
    """Return a .npy file that announces a shape and holds nothing of it."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def npz(**members: bytes) -> bytes:
    """Return an npz file of these .npy files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in members.items():
            zipped.writestr(f"{name}.npy", data)
    return file.getvalue()


def objects() -> bytes:
    """Return an npz file with an array of objects, which only pickle can read."""
    file = io.BytesIO()
    np.savez(file, test_logits=np.array([{"a": 1}], dtype=object))
    return file.getvalue()


PREDICTIONS = [
    b"",
    b"PK",
    npz(),
    objects(),
    npz(test_logits=array_header("(1000000000000, 7)")),
    npz(test_logits=array_header("(-1, 7)")),
    npz(test_logits=array_header("x" * 60)),
    npz(test_logits=b"\x00" * 100),
    npz(**{f"{part}_logits": array_header("()") for part in ("test", "validation")}),
]


@pytest.mark.parametrize("number", range(len(PREDICTIONS)))
def test_predictions_of_any_kind(number: int, small: Path, tmp_path: Path):
    def change(files: dict[str, bytes]) -> None:
        files[f"{RUN}/predictions.npz"] = PREDICTIONS[number]

    made = packed_again(small, tmp_path / "x.zip", change)
    assert f"{RUN}/predictions.npz" in refused(made, tmp_path / "out")


@pytest.mark.parametrize("name", ["card.json", "shown.npz"])
def test_data_of_any_kind(name: str, small: Path, tmp_path: Path):
    for number, content in enumerate([b"", b"[]", b"{}", *PREDICTIONS[3:8]]):
        made = packed_again(
            small,
            tmp_path / "x.zip",
            lambda files, c=content: files.update({f"data/digits/{name}": c}),
        )
        assert name in refused(made, tmp_path / f"out{number}")


def test_random_bits(small: Path, tmp_path: Path):
    honest = small.read_bytes()
    draw = random.Random(0)
    for number in range(60):
        data = bytearray(honest)
        for _ in range(3):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        (tmp_path / "x.zip").write_bytes(data)
        try:
            refused(tmp_path / "x.zip", tmp_path / f"out{number}")
        except AssertionError as error:
            # A bit of a date or of a comment of the zip.
            assert "accepted" in str(error), error


def containers(honest: dict[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield archives that are wrong as a whole."""
    about = json.loads(honest[CONTENTS])
    for value in [*ODD, {"files": []}, {"files": {}, "weights": {}}]:
        yield f"contents {str(value)[:20]}", honest | {CONTENTS: as_json(value)}
    yield "no JSON", honest | {CONTENTS: b"{"}
    yield "deep", honest | {CONTENTS: b"[" * 100_000}
    yield "no text", honest | {CONTENTS: b"\xff\xfe"}
    yield "nothing listed", honest | {CONTENTS: as_json(about | {"files": {}})}
    yield "no contents", {k: v for k, v in honest.items() if k != CONTENTS}
    for name in ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "a/./evil", "\x1b"]:
        files = {**honest, name: b"x"}
        files[CONTENTS] = as_json(
            about | {"files": about["files"] | {name: sha256(b"x")}}
        )
        yield f"name {name}", files
    yield "unlisted", {**honest, "code/more.py": b""}
    index = f"{HERE}/index.json"
    yield "no index", {k: v for k, v in honest.items() if k != index}


def test_containers(small: Path, tmp_path: Path):
    for number, (_, files) in enumerate(containers(contents_of(small))):
        message = refused(raw(files, tmp_path / "x.zip"), tmp_path / f"out{number}")
        assert message.count("\n") <= 3 and len(message) < 1000


def test_sizes_are_bounded_before_anything_is_read(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "LARGEST_RATIO", 30)
    files = contents_of(small)
    bomb = raw({**files, "big": bytes(200 << 20)}, tmp_path / "bomb.zip")
    assert "times its size" in refused(bomb, tmp_path / "a")
    many = {f"f{number}": b"" for number in range(limits.MOST_FILES)}
    assert "files; at most" in refused(
        raw(files | many, tmp_path / "x.zip"), tmp_path / "b"
    )
    # An announced size is not believed, either.
    data = bytearray(bomb.read_bytes())
    at = data.rindex(b"big") - 46
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    (tmp_path / "lie.zip").write_bytes(data)
    refused(tmp_path / "lie.zip", tmp_path / "c")


def test_encrypted_unknown_compression_and_names_twice(small: Path, tmp_path: Path):
    honest = small.read_bytes()
    for offset, value in ((8, 1), (10, 99)):
        data, at = bytearray(honest), 0
        at = data.index(b"PK\x01\x02")
        data[at + offset] = value
        (tmp_path / "x.zip").write_bytes(data)
        message = refused(tmp_path / "x.zip", tmp_path / f"out{offset}")
        assert "encrypted, or packed in another way" in message
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(tmp_path / "y.zip", "w") as zipped,
    ):
        for name, content in [*contents_of(small).items(), (CONTENTS, b"{}")]:
            zipped.writestr(name, content)
    assert "occurs twice" in refused(tmp_path / "y.zip", tmp_path / "twice")


def test_an_honest_archive_is_accepted(small: Path, tmp_path: Path):
    pack(tmp_path / "x.zip", contents_of(small))
    assert opened(tmp_path / "x.zip", tmp_path / "out") == []
