"""Archives and pickles that mean harm."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import pickle
import random
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from labmill.core.errors import LabmillError
from labmill.data.datasets.cifar10 import load
from labmill.download.download import fetch
from labmill.download.extract import unpack

CONTENT = {f"set/{name}": random.Random(name).randbytes(40_000) for name in "ab"}
WANTED = {
    name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    for name, data in CONTENT.items()
}
PACK = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def member(name: str, data: bytes = b"", **fields) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def good() -> list[tuple[tarfile.TarInfo, bytes]]:
    return [member(name, data) for name, data in CONTENT.items()]


def files_below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("place", ["by hand", "mirror"])
def test_an_archive_in_any_compression_will_do(tmp_path, patience, suffix, place):
    folder = tmp_path / "downloads"
    at = folder if place == "by hand" else tmp_path / "mirror" / "my-set"
    at.mkdir(parents=True)
    (at / f"set.tar{suffix}").write_bytes(PACK[suffix](tar(*good())))
    got = fetch(
        "my_set",
        WANTED,
        urls=["http://127.0.0.1:9/"],
        archive="set.tar.gz",
        folder=folder,
        mirror=str(tmp_path / "mirror"),
        patience=patience,
    )
    assert {name: path.read_bytes() for name, path in got.items()} == CONTENT


def test_an_archive_is_downloaded_once_and_kept(site, tmp_path, patience):
    site.content["set.tar.gz"] = gzip.compress(tar(*good()))
    options = {"urls": [site.url], "archive": "set.tar.gz", "patience": patience}
    fetch("my_set", WANTED, folder=tmp_path, **options)
    assert files_below(tmp_path) >= {"set.tar.gz", *CONTENT}
    (tmp_path / "set/a").unlink()
    fetch("my_set", WANTED, folder=tmp_path, **options)
    assert len(site.requests["set.tar.gz"]) == 1


def test_a_damaged_archive_leads_to_the_next_source(site, tmp_path, patience):
    packed = gzip.compress(tar(*good()))
    site.content["bad/set.tar.gz"] = packed[:-20_000]
    site.content["set.tar.gz"] = packed
    urls = [site.url + "bad/", site.url]
    fetch(
        "my_set",
        WANTED,
        urls=urls,
        archive="set.tar.gz",
        folder=tmp_path,
        patience=patience,
    )
    with pytest.raises(LabmillError, match="cannot be unpacked"):
        fetch(
            "my_set",
            WANTED,
            urls=urls[:1],
            archive="set.tar.gz",
            folder=tmp_path / "x",
            patience=patience,
        )


def test_paths_and_links_of_the_archive_have_no_effect(tmp_path):
    target = tmp_path / "secret"
    target.write_text("untouched")
    link = {"type": tarfile.SYMTYPE, "linkname": str(tmp_path)}
    hard = {"type": tarfile.LNKTYPE, "linkname": str(target)}
    path = tmp_path / "x.tar"
    path.write_bytes(
        tar(
            member("../escaped", b"1"),
            member(str(tmp_path / "absolute"), b"2"),
            member("set/../../escaped", b"3"),
            member("set", **link),
            member("set/a", **hard),
            member("set/b", **link),
            member("set/fifo", type=tarfile.FIFOTYPE),
            *good(),
        )
    )
    unpack(path, WANTED, tmp_path / "out")
    assert files_below(tmp_path) == {"secret", "x.tar", "out/set/a", "out/set/b"}
    assert target.read_text() == "untouched"
    assert (tmp_path / "out/set/a").read_bytes() == CONTENT["set/a"]
    assert not (tmp_path / "out/set").is_symlink()


REFUSED = {
    "only a link": (
        [member("set/a", type=tarfile.SYMTYPE, linkname="/etc/passwd"), good()[1]],
        "lacks set/a",
    ),
    "missing": (good()[1:], "lacks set/a"),
    "longer": ([member("set/a", bytes(40_001)), good()[1]], "another size"),
    "shorter": ([member("set/a", bytes(10)), good()[1]], "another size"),
    "other bytes": ([member("set/a", bytes(40_000)), good()[1]], "expected"),
}


@pytest.mark.parametrize(("members", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_archive_is_refused_and_leaves_nothing(tmp_path, members, reason):
    path = tmp_path / "x.tar"
    path.write_bytes(tar(*members))
    with pytest.raises(LabmillError, match=reason):
        unpack(path, WANTED, tmp_path / "out")
    assert "set/a" not in files_below(tmp_path / "out")


def test_no_archive_at_all_is_refused(tmp_path):
    for content in (b"", b"<html>not found</html>" * 100, b"\x1f\x8b garbage"):
        path = tmp_path / "x.tar.gz"
        path.write_bytes(content)
        with pytest.raises(LabmillError):
            unpack(path, WANTED, tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_bomb_does_not_go_off(tmp_path, kind):
    """2 GB of zeros in 2 MB, as a file to skip and as a header tarfile would read."""
    info = tarfile.TarInfo("zeros")
    info.type = kind
    info.size = 2 << 30
    path = tmp_path / "x.tar.gz"
    zeros = bytes(1 << 20)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        for _ in range(48):
            file.write(zeros)
    tracemalloc.start()
    with pytest.raises(LabmillError, match="far more"):
        unpack(path, WANTED, tmp_path / "out")
    assert tracemalloc.get_traced_memory()[1] < 128 << 20
    tracemalloc.stop()


class Harm:
    def __reduce__(self):
        return os.system, ("touch harmed",)


class Hidden:
    def __reduce__(self):
        return eval, ("__import__('os').system('touch harmed')",)


@pytest.mark.parametrize("harm", [Harm(), {b"data": Harm()}, [Hidden()], Hidden])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_runs_nothing(tmp_path, monkeypatch, harm, protocol):
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(harm, protocol=protocol)
    with pytest.raises(LabmillError, match=r"data_batch_1.*asks for"):
        load(io.BytesIO(content), Path("data_batch_1"))
    assert not files_below(tmp_path)


def test_a_pickle_of_python_2_is_read():
    """As Python 2 wrote CIFAR's: byte strings, NumPy under its old module name."""
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ" + b"\xff" * 4
    dtype += b"J" + b"\xff" * 4 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    array += b"(K\x01K\x02K\x03\x86" + dtype + b"\x89U\x06" + bytes(range(6)) + b"tb"
    content = b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x01K\x00eu."
    read = load(io.BytesIO(content), Path("x"))
    assert (read[b"data"] == np.arange(6, dtype=np.uint8).reshape(2, 3)).all()
    assert read[b"labels"] == [1, 0]
