"""Fetch the raw files of a dataset once, and verify them before they are read.

Order: the download folder, the mirror of the study, LABMILL_MIRROR, the dataset's own
addresses. A lock per dataset folder keeps two jobs, or two users of a shared disk, from
fetching the same file twice.

Own code, because pooch 1.9 (measured) starts again at byte 0 after every cut, asks one
address only, takes an endless answer in full, and retries a 404.
"""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from labmill.core.errors import LabmillError
from labmill.core.files import NO_LOCKS, writing
from labmill.download.extract import (
    SLACK,
    SUFFIXES,
    SourceFile,
    problem,
    sizes,
    unpack,
)
from labmill.download.transfer import Patience, UnavailableError, download

log = logging.getLogger("labmill")

LARGEST = 16 << 30  # bytes of a file whose size nobody declares


@dataclass
class DatasetFetch:
    """One call of `fetch`: which files, from where, and which hosts were silent."""

    dataset: str
    sources: Mapping[str, SourceFile]
    folder: Path
    urls: Sequence[str]
    archive: str | None
    mirrors: Sequence[str]
    patience: Patience
    subject: str
    silent_hosts: set[str] = field(default_factory=set)

    def missing(self) -> list[str]:
        """Return the files that are absent or not the declared ones."""
        return [
            name
            for name, expected in self.sources.items()
            if problem(self.folder / name, expected) is not None
        ]

    def alternative_names(self, wanted: str) -> list[str]:
        """Return the names a wanted file may have: an archive in any compression."""
        if wanted != self.archive:
            return [wanted]
        stem = wanted[: wanted.index(".tar") + len(".tar")]
        return list(dict.fromkeys([wanted, *(stem + end for end in SUFFIXES)]))

    def subfolders(self) -> list[str]:
        """Return the folders of a mirror that may hold the dataset's files."""
        return list(dict.fromkeys([self.dataset.replace("_", "-"), self.dataset, ""]))

    def local_files(self, wanted: str, tried: list[str]) -> Iterator[Path]:
        """Yield this machine's files of that name; append folders without it to `tried`."""
        names = self.alternative_names(wanted)
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
            yield from found

    def addresses(self, wanted: str) -> Iterator[str]:
        """Yield the URLs to try, in order: mirrors, then the dataset's own."""
        for mirror in self.mirrors:
            if is_url(mirror):
                for below in self.subfolders():
                    base = "/".join(filter(None, [mirror.rstrip("/"), below]))
                    for name in self.alternative_names(wanted):
                        yield f"{base}/{name}"
        for url in self.urls:
            yield url + wanted

    def verify_or_unpack(self, path: Path, wanted: str) -> None:
        """Verify `path`, or unpack it if it is the archive. Raises LabmillError."""
        if wanted == self.archive:
            unpack(path, self.sources, self.folder)
        elif (reason := problem(path, self.sources[wanted])) is not None:
            raise LabmillError(reason)

    def obtain(self, wanted: str) -> list[str]:
        """Fetch one file or archive; return why all sources failed, [] on success."""
        tried: list[str] = []
        for path in self.local_files(wanted, tried):
            try:
                if path.is_relative_to(self.folder) or wanted == self.archive:
                    self.verify_or_unpack(path, wanted)
                else:
                    self.copy(path, wanted)
            except LabmillError as error:
                tried.append(f"{path}: {error}")
            else:
                log.info("%s: from %s", wanted, path)
                return []
        for url in self.addresses(wanted):
            host = urlsplit(url).netloc
            if host in self.silent_hosts:
                tried.append(f"{url}: {host} did not answer before")
                continue
            try:
                self.download(url, wanted)
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
        """Copy a mirror's file; verify the copy before it gets its name."""
        copied = self.folder / f"{wanted}.copy.part"
        copied.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, copied)
            self.verify_or_unpack(copied, wanted)
            copied.replace(self.folder / wanted)
        finally:
            copied.unlink(missing_ok=True)

    def download(self, url: str, wanted: str) -> None:
        """Download to `<name>.part`, verify, rename. Raises UnavailableError."""
        name = Path(urlsplit(url).path).name if wanted == self.archive else wanted
        part = self.folder / f"{name}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        if wanted == self.archive:
            size = None
            limit = sizes(self.sources) + SLACK
        else:
            size = self.sources[wanted]["size"]
            limit = size or LARGEST
        for resumed in (part.exists(), False):
            download(url, part, size=size, limit=limit, patience=self.patience)
            try:
                self.verify_or_unpack(part, wanted)
            except LabmillError as error:
                part.unlink()
                # The bytes before the interruption may be another server's.
                if not resumed:
                    raise UnavailableError(str(error)) from None
            else:
                part.replace(self.folder / name)
                return

    def failure(self, tried: Mapping[str, Sequence[str]]) -> LabmillError:
        """Describe what is missing, what was tried, how to provide it by hand."""
        lines = [f"{self.subject}: could not download {len(tried)} file(s)."]
        for wanted, reasons in tried.items():
            about = described(self.sources.get(wanted))
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
            others = ", ".join(self.alternative_names(self.archive)[1:])
            lines.append(f"({others} with the same content will do.)")
        return LabmillError("\n".join(lines))


def fetch(
    dataset: str,
    sources: Mapping[str, SourceFile],
    *,
    urls: Sequence[str],
    folder: Path,
    archive: str | None = None,
    mirror: str | None = None,
    patience: Patience | None = None,
    subject: str | None = None,
) -> dict[str, Path]:
    """Return the dataset's files by name, each verified, in `folder`.

    `archive` is the archive that holds the files, in this compression or another; then
    the names in `sources` are paths in it. `mirror` is searched before LABMILL_MIRROR
    and `urls`. `subject` names in messages what is fetched.
    """
    mirrors = [item for item in (mirror, os.environ.get("LABMILL_MIRROR")) if item]
    job = DatasetFetch(
        dataset=dataset,
        sources=sources,
        folder=Path(folder),
        urls=urls,
        archive=archive,
        mirrors=list(dict.fromkeys(mirrors)),
        patience=patience or Patience(),
        subject=subject or f"dataset {dataset}",
    )
    if job.missing():
        with locked(job.folder), writing(job.folder):
            missing = job.missing()
            wanted = [archive] if archive and missing else missing
            results = {name: job.obtain(name) for name in wanted}
        tried = {name: reasons for name, reasons in results.items() if reasons}
        if tried:
            raise job.failure(tried)
    return {name: job.folder / name for name in sources}


def described(expected: SourceFile | None) -> str:
    """Return what is known of a file, in brackets."""
    size, sha256 = (expected["size"], expected["sha256"]) if expected else (None, "")
    facts = [f"{size} bytes"] * (size is not None) + [f"sha256 {sha256}"] * bool(sha256)
    return f" ({', '.join(facts)})" if facts else ""


def locked(folder: Path) -> AbstractContextManager[object]:
    """Acquire the folder's lock; wait for another job that fetches into it."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", mode=0o666)
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another job fetches it; waiting", folder)
            return lock.acquire()
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in NO_LOCKS:
            return nullcontext()
        raise LabmillError(f"{folder}: cannot write there: {error}") from None


def is_url(mirror: str) -> bool:
    """Return True if a mirror is a base URL; else it is a folder."""
    return urlsplit(mirror).scheme in ("http", "https")
