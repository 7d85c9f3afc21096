"""Fetching against a server on loopback that cuts, lies, hangs and redirects."""

import errno
import hashlib
import json
import logging
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from helpers.faulty_server import (
    Site,
    corrupted,
    cut,
    dripping,
    hanging,
    redirected,
    status,
    truncated,
    unmeasured,
    whole,
    without_range,
)
from labmill.core.errors import LabmillError
from labmill.download.download import fetch

CONTENT = random.Random(0).randbytes(300_000)
NAME = "images.gz"
SOURCES = {NAME: {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}}


def get(site: Site, folder: Path, patience, **others) -> Path:
    options = {"urls": [site.url], "folder": folder, "patience": patience} | others
    return fetch("some_set", SOURCES, **options)[NAME]


@pytest.fixture
def served(site: Site) -> Site:
    site.content[NAME] = CONTENT
    site.content["other/" + NAME] = CONTENT
    site.content["elsewhere"] = CONTENT
    return site


RECOVERED = {
    "whole": [whole],
    "cut, then resumed": [cut(100_000), whole],
    "cut four times with progress": [cut(50_000)] * 4 + [whole],
    "cut before the first byte": [cut(0), whole],
    "500": [status(500), whole],
    "503 after a cut": [cut(1000), status(503), whole],
    "cut, then the server ignores Range": [cut(100_000), without_range()],
    "hangs": [hanging(70_000), whole],
    "redirects": [redirected("/elsewhere")],
    "truncated without a length": [unmeasured(lambda c: c[:1000]), whole],
}


@pytest.mark.parametrize("steps", RECOVERED.values(), ids=RECOVERED)
def test_a_passing_fault_is_survived(served, tmp_path, patience, steps):
    served.plan[NAME] = list(steps)
    assert get(served, tmp_path, patience).read_bytes() == CONTENT
    assert not list(tmp_path.glob("*.part"))


def test_a_cut_download_goes_on_where_it_stopped(served, tmp_path, patience):
    served.plan[NAME] = [cut(100_000), cut(100_000), whole]
    get(served, tmp_path, patience)
    assert served.requests[NAME] == [None, "bytes=100000-", "bytes=200000-"]


LASTING = {
    "404": ([status(404)], "HTTP 404", 1),
    "500": ([status(500)], "HTTP 500", 3),
    "truncated": ([truncated], f"offers 150000 bytes, expected {len(CONTENT)}", 1),
    "corrupted": ([corrupted], f"expected {SOURCES[NAME]['sha256']}", 1),
    "hangs": ([hanging(0)], "timed out", 3),
    "redirects for ever": ([redirected(f"/{NAME}")], "redirect", None),
    "ignores Range and cuts": ([without_range(1000)], "1000 of 300000 bytes", None),
    "drips": ([dripping(0.01)], "bytes a second (3 attempts)", 3),
    "a byte per connection": ([cut(1)], "closed the connection at 3", 3),
    "endless": ([unmeasured(lambda c: c + c)], "more than the 300000 bytes", 1),
}


@pytest.mark.parametrize(("steps", "reason", "asked"), LASTING.values(), ids=LASTING)
def test_a_lasting_fault_leads_to_the_next_source(
    served, tmp_path, patience, steps, reason, asked, caplog
):
    caplog.set_level(logging.INFO, logger="labmill")
    served.plan[NAME] = list(steps)
    both = [served.url, served.url + "other/"]
    path = get(served, tmp_path / "a", patience, urls=both)
    assert path.read_bytes() == CONTENT
    assert asked in (None, len(served.requests[NAME]))

    with pytest.raises(LabmillError, match=re.escape(reason)) as error:
        get(served, tmp_path / "b", patience)
    assert f"{served.url}{NAME}: " in str(error.value)
    assert not (tmp_path / "b" / NAME).exists()


def test_a_corrupt_file_is_reported_with_both_digests(served, tmp_path, patience):
    served.plan[NAME] = [corrupted]
    found = hashlib.sha256(b"?" + CONTENT[1:]).hexdigest()
    with pytest.raises(LabmillError) as error:
        get(served, tmp_path, patience)
    for part in (NAME, found, SOURCES[NAME]["sha256"], served.url):
        assert part in str(error.value)


def test_bytes_of_another_server_are_thrown_away(served, tmp_path, patience):
    (tmp_path / f"{NAME}.part").write_bytes(b"another file" * 100)
    assert get(served, tmp_path, patience).read_bytes() == CONTENT
    assert served.requests[NAME] == ["bytes=1200-", None]


def test_a_finished_part_is_not_fetched_again(served, tmp_path, patience):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert get(served, tmp_path, patience).read_bytes() == CONTENT
    assert served.requests[NAME] == [f"bytes={len(CONTENT)}-"]


def test_what_is_there_is_verified_and_not_fetched(served, tmp_path, patience):
    get(served, tmp_path, patience)
    get(served, tmp_path, patience)
    assert len(served.requests[NAME]) == 1
    (tmp_path / NAME).write_bytes(b"!" + CONTENT[1:])
    assert get(served, tmp_path, patience).read_bytes() == CONTENT
    assert len(served.requests[NAME]) == 2


def test_a_silent_host_is_asked_once(tmp_path, patience, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    sources = {f"{i}": SOURCES[NAME] for i in range(3)}
    with pytest.raises(LabmillError) as error:
        fetch("some_set", sources, urls=[url], folder=tmp_path, patience=patience)
    assert str(error.value).count("did not answer before") == 2


def test_a_mirror_that_is_not_there_or_empty_is_named(served, tmp_path, patience):
    served.plan[NAME] = [status(404)]
    for mirror, reason in ((tmp_path / "none", "no such folder"), (tmp_path, "holds")):
        with pytest.raises(LabmillError) as error:
            get(served, tmp_path / "got", patience, mirror=str(mirror))
        assert f"{mirror}: {reason}" in str(error.value)


@pytest.mark.parametrize("layout", ["some-set", "some_set", "."])
@pytest.mark.parametrize("given", ["argument", "variable"])
def test_a_mirror_folder_comes_first(
    served, tmp_path, patience, layout, given, monkeypatch
):
    mirror = tmp_path / "mirror"
    (mirror / layout).mkdir(parents=True, exist_ok=True)
    (mirror / layout / NAME).write_bytes(CONTENT)
    if given == "variable":
        monkeypatch.setenv("LABMILL_MIRROR", str(mirror))
    argument = str(mirror) if given == "argument" else None
    path = get(served, tmp_path / "got", patience, mirror=argument)
    assert path.read_bytes() == CONTENT and not served.requests
    assert (mirror / layout / NAME).exists()


def test_a_mirror_url_comes_first_and_a_bad_one_is_passed_over(
    served, tmp_path, patience
):
    served.content["mirror/some-set/" + NAME] = CONTENT
    get(served, tmp_path / "a", patience, mirror=served.url + "mirror")
    assert list(served.requests) == ["mirror/some-set/" + NAME]
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / NAME).write_bytes(b"x")
    path = get(served, tmp_path / "b", patience, mirror=str(bad))
    assert path.read_bytes() == CONTENT


FETCHER = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from labmill.download.download import fetch
    url, folder, sources = sys.argv[1:]
    fetch("some_set", json.loads(sources), urls=[url], folder=Path(folder))
    """
)


def fetcher(site: Site, folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", FETCHER, site.url, str(folder), json.dumps(SOURCES)]
    )


def test_two_jobs_fetch_once(served, tmp_path):
    def slow(handler, site, content):
        time.sleep(0.5)
        whole(handler, site, content)

    served.plan[NAME] = [slow]
    jobs = [fetcher(served, tmp_path) for _ in range(3)]
    assert [job.wait(60) for job in jobs] == [0, 0, 0]
    assert len(served.requests[NAME]) == 1
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_killed_job_is_gone_on_with(served, tmp_path, patience):
    served.plan[NAME] = [hanging(131_072), whole]
    job = fetcher(served, tmp_path)
    part = tmp_path / f"{NAME}.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    had = part.stat().st_size
    assert get(served, tmp_path, patience).read_bytes() == CONTENT
    assert served.requests[NAME] == [None, f"bytes={had}-"]


def test_the_error_alone_says_what_to_copy_where(tmp_path, patience, monkeypatch):
    """Done literally: read the message, download elsewhere, copy, run again."""
    monkeypatch.chdir(tmp_path)
    sources = {"a.gz": SOURCES[NAME], "b.gz": SOURCES[NAME]}
    nowhere = ["http://127.0.0.1:9/data/"]
    folder = Path("data/downloads/some_set")
    with pytest.raises(LabmillError) as error:
        fetch("some_set", sources, urls=nowhere, folder=folder, patience=patience)
    message = str(error.value)
    download, rest = message.split("another machine download\n")[1].split("and copy")
    destinations = rest.split("names:\n")[1].split("or set")[0].split()
    assert download.split() == [nowhere[0] + "a.gz", nowhere[0] + "b.gz"]
    for place in destinations:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_bytes(CONTENT)
    got = fetch("some_set", sources, urls=nowhere, folder=folder, patience=patience)
    assert [path.read_bytes() for path in got.values()] == [CONTENT] * 2

    shutil.rmtree("data")
    for name in message.split("a folder that holds\n")[1].split():
        place = tmp_path / "stick" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(CONTENT)
    monkeypatch.setenv("LABMILL_MIRROR", str(tmp_path / "stick"))
    fetch("some_set", sources, urls=nowhere, folder=folder, patience=patience)


def test_progress_is_lines_in_a_log_and_a_bar_on_a_terminal(
    served, tmp_path, patience, caplog, monkeypatch, capsys
):
    caplog.set_level(logging.INFO, logger="labmill")
    get(served, tmp_path / "log", patience)
    assert "images.gz: 0.3 of 0.3 MB" in caplog.text
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    get(served, tmp_path / "terminal", patience)
    assert "images.gz: 100%" in capsys.readouterr().err


def test_a_folder_one_may_not_write_to_is_named(served, tmp_path, patience):
    (tmp_path / "file").touch()
    with pytest.raises(LabmillError, match=r"file/sub: cannot write there"):
        get(served, tmp_path / "file" / "sub", patience)


def test_a_store_of_another_user_is_one_message(
    served, tmp_path, patience, monkeypatch
):
    """A file is missing from a folder in which only its owner may write."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / NAME).write_bytes(CONTENT)

    def refused(_, target):
        raise PermissionError(errno.EACCES, "Permission denied", str(target))

    monkeypatch.setattr(shutil, "copyfile", refused)
    store = tmp_path / "store"
    with pytest.raises(LabmillError, match=r"store: cannot be written: Permission"):
        get(served, store, patience, mirror=str(mirror))
