"""The raw files of a dataset: found or fetched once, verified before they are read.

Order: what lies in the download folder, the mirror of the study, LABMILL_MIRROR, then
the dataset's own addresses. A lock per dataset folder keeps two jobs, or two users of
a shared disk, from fetching the same file twice.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from labmill.data.archive import SLACK, SUFFIXES, unpack
from labmill.data.transfer import Patience, UnavailableError, download
from labmill.errors import LabmillError

log = logging.getLogger("labmill")


@dataclass
class Fetching:
    """One call of `fetch`: what is wanted, where it is looked for, what went wrong."""

    dataset: str
    sources: Mapping[str, Mapping[str, Any]]
    folder: Path
    urls: Sequence[str]
    archive: str | None
    mirrors: Sequence[str]
    patience: Patience
    silent_hosts: set[str] = field(default_factory=set)

    def missing(self) -> list[str]:
        """Files that are not there or not what they should be."""
        return [
            name
            for name, entry in self.sources.items()
            if problem(self.folder / name, entry) is not None
        ]

    def names(self, wanted: str) -> list[str]:
        """Names under which a wanted file may lie: an archive in any compression."""
        if wanted != self.archive:
            return [wanted]
        stem = wanted[: wanted.index(".tar") + len(".tar")]
        return [wanted, *(stem + end for end in SUFFIXES if stem + end != wanted)]

    def subfolders(self) -> list[str]:
        """Where in a mirror the dataset's files may lie."""
        return list(dict.fromkeys([self.dataset.replace("_", "-"), self.dataset, ""]))

    def local(self, wanted: str, tried: list[str]) -> Iterator[tuple[Path, bool]]:
        """Files of this machine to look at, and whether each lies in its final place.

        Adds to `tried` the folders that hold none.
        """
        names = self.names(wanted)
        folders = [(self.folder, [""])]
        for mirror in self.mirrors:
            if not is_url(mirror):
                folders.append((Path(mirror).expanduser(), self.subfolders()))
        for folder, below in folders:
            paths = [folder / part / name for part in below for name in names]
            found = [path for path in paths if path.is_file()]
            if not found:
                tried.append(
                    f"{folder}: holds none of "
                    + ", ".join(str(path.relative_to(folder)) for path in paths)
                    if folder.is_dir()
                    else f"{folder}: no such folder"
                )
            yield from ((path, folder == self.folder) for path in found)

    def remote(self, wanted: str) -> Iterator[str]:
        """Addresses to try, in order: mirrors, then the dataset's own."""
        for mirror in self.mirrors:
            if is_url(mirror):
                for below in self.subfolders():
                    base = "/".join(filter(None, [mirror.rstrip("/"), below]))
                    for name in self.names(wanted):
                        yield f"{base}/{name}"
        for url in self.urls:
            yield url + wanted

    def accept(self, path: Path, wanted: str) -> None:
        """Verify `path`; of an archive, unpack the files. Raises LabmillError."""
        if wanted == self.archive:
            unpack(path, self.sources, self.folder)
        elif (reason := problem(path, self.sources[wanted])) is not None:
            raise LabmillError(reason)

    def obtain(self, wanted: str) -> list[str]:
        """Bring one file or archive in; the reasons why it failed, none on success."""
        tried: list[str] = []
        for path, in_place in self.local(wanted, tried):
            try:
                if in_place or wanted == self.archive:  # read where it lies
                    self.accept(path, wanted)
                else:
                    self.copy(path, wanted)
            except LabmillError as error:
                tried.append(f"{path}: {error}")
            else:
                log.info("%s: from %s", wanted, path)
                return []
        for url in self.remote(wanted):
            host = urlsplit(url).netloc
            if host in self.silent_hosts:
                tried.append(f"{url}: {host} did not answer before")
                continue
            try:
                self.load(url, wanted)
            except UnavailableError as error:
                if not error.reached:
                    self.silent_hosts.add(host)
                tried.append(f"{url}: {error}")
                log.info("%s: %s", url, error)
            else:
                log.info("%s: from %s", wanted, url)
                return []
        return tried

    def copy(self, path: Path, wanted: str) -> None:
        """Copy a file of a mirror to its place; verified before it gets its name."""
        copied = self.folder / f"{wanted}.copy.part"
        copied.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, copied)
            self.accept(copied, wanted)
            copied.replace(self.folder / wanted)
        finally:
            copied.unlink(missing_ok=True)

    def load(self, url: str, wanted: str) -> None:
        """Download to `<name>.part`, verify, rename. Raises UnavailableError."""
        name = Path(urlsplit(url).path).name
        part = self.folder / f"{name}.part"
        if wanted == self.archive:
            size = None
            limit = sum(entry["size"] for entry in self.sources.values()) + SLACK
        else:
            size = limit = self.sources[wanted]["size"]
        for resumed in (part.exists(), False):
            download(url, part, size=size, limit=limit, patience=self.patience)
            try:
                self.accept(part, wanted)
            except LabmillError as error:
                part.unlink()
                # The bytes before the interruption may be another server's.
                if not resumed:
                    raise UnavailableError(str(error)) from None
            else:
                part.replace(self.folder / name)
                return

    def failure(self, tried: Mapping[str, Sequence[str]]) -> LabmillError:
        """What is missing, what was tried, and how to bring the files in by hand."""
        lines = [f"dataset {self.dataset}: {len(tried)} file(s) could not be had."]
        for wanted, reasons in tried.items():
            entry = self.sources.get(wanted)
            about = (
                f" ({entry['size']} bytes, sha256 {entry['sha256']})" if entry else ""
            )
            lines += ["", f"{wanted}{about}. Tried:", *(f"  {why}" for why in reasons)]
        lines += [
            "",
            "Without internet: on another machine download",
            *(f"  {self.urls[0]}{wanted}" for wanted in tried),
            "and copy to this one, under exactly these names:",
            *(f"  {(self.folder / wanted).resolve()}" for wanted in tried),
            "or set LABMILL_MIRROR, or mirror in config.yaml, to a folder that holds",
            *(f"  {self.subfolders()[0]}/{wanted}" for wanted in tried),
        ]
        if self.archive:
            others = ", ".join(self.names(self.archive)[1:])
            lines.append(f"({others} with the same content will do.)")
        return LabmillError("\n".join(lines))


def fetch(
    dataset: str,
    sources: Mapping[str, Mapping[str, Any]],
    *,
    urls: Sequence[str],
    folder: Path,
    archive: str | None = None,
    mirror: str | None = None,
    patience: Patience | None = None,
) -> dict[str, Path]:
    """The dataset's files by name, each verified by size and SHA-256, in `folder`.

    sources: file name -> `size` in bytes and `sha256`. With `archive` the files come
    packed in one of that name, or of the same in another compression, and their names
    are paths in it. `mirror` and the variable LABMILL_MIRROR: a folder or base URL
    searched first. Raises LabmillError that lists every source tried, the reason each
    failed, and how to provide the files by hand.
    """
    mirrors = [item for item in (mirror, os.environ.get("LABMILL_MIRROR")) if item]
    job = Fetching(
        dataset=dataset,
        sources=sources,
        folder=Path(folder),
        urls=urls,
        archive=archive,
        mirrors=list(dict.fromkeys(mirrors)),
        patience=patience or Patience(),
    )
    if job.missing():
        with locked(job.folder):
            missing = job.missing()
            wanted = [archive] if archive and missing else missing
            results = {name: job.obtain(name) for name in wanted}
        tried = {name: reasons for name, reasons in results.items() if reasons}
        if tried:
            raise job.failure(tried)
    return {name: job.folder / name for name in sources}


def problem(path: Path, entry: Mapping[str, Any]) -> str | None:
    """Why the file is not the one declared; None when it is."""
    if not path.is_file():
        return "no such file"
    if (size := path.stat().st_size) != entry["size"]:
        return f"found {size} bytes, expected {entry['size']}"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != entry["sha256"]:
        return f"found sha256 {found}, expected {entry['sha256']}"
    return None


def locked(folder: Path) -> AbstractContextManager:
    """Hold the folder's lock, waiting for whoever fetches into it now."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", mode=0o666)
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another job fetches it; waiting", folder)
            return lock.acquire()
    except OSError as error:
        raise LabmillError(f"{folder}: cannot write there: {error}") from None


def is_url(mirror: str) -> bool:
    """Whether a mirror is a base URL; else it is a folder."""
    return urlsplit(mirror).scheme in ("http", "https")
