"""Download one file over HTTP: resume, retry with back-off, give up with a reason."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

log = logging.getLogger("labmill")

BLOCK = 1 << 16
MEGABYTE = 1e6
RETRIED = (408, 425, 429)  # and every 5xx: the server may recover


@dataclass(frozen=True)
class Patience:
    """How long to wait: attempts without progress, seconds between and within them.

    `slowest`: bytes a second, as a mean over an attempt longer than `read_s`; a slower
    server is given up, and fewer bytes than it sends in `read_s` are no progress.
    """

    attempts: int = 4
    backoff_s: float = 1.0
    connect_s: float = 10.0
    read_s: float = 30.0
    log_every_s: float = 10.0
    slowest: float = 10_000.0


class UnavailableError(Exception):
    """An address that does not give the file; `reached`: whether its server answers."""

    def __init__(self, reason: str, *, reached: bool = True) -> None:
        super().__init__(reason)
        self.reached = reached


class InterruptedTransferError(Exception):
    """The transfer stopped for a reason that may pass."""


def download(
    url: str, part: Path, *, size: int | None, limit: int, patience: Patience
) -> None:
    """Download `url` into `part`, resuming after the bytes that are there already.

    `part` is kept when the download fails. An attempt with progress resets the count.

    Raises:
        UnavailableError: the address does not give the file.
    """
    import requests
    import urllib3

    failures, reached = 0, False
    furthest = length(part)
    while True:
        try:
            with request(url, length(part), patience) as response:
                reached = True
                receive(response, part, size=size, limit=limit, patience=patience)
            return
        except (
            requests.TooManyRedirects,
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidURL,
        ) as error:
            raise UnavailableError(f"bad redirect or address: {error}") from None
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            InterruptedTransferError,
        ) as error:
            brought = length(part) - furthest
            progressed = brought >= patience.slowest * patience.read_s
            failures = 1 if progressed else failures + 1
            furthest = max(furthest, length(part))
            reason = innermost_reason(error)
            if failures >= patience.attempts:
                raise UnavailableError(
                    f"{reason} ({failures} attempts)", reached=reached
                ) from None
            wait = patience.backoff_s * 2 ** (failures - 1)
            log.info("%s: %s; next attempt in %.0f s", url, reason, wait)
            time.sleep(wait)


def request(url: str, start: int, patience: Patience) -> "requests.Response":
    """Request the file from byte `start` on, uncompressed; return the open response."""
    import requests

    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    timeout = (patience.connect_s, patience.read_s)
    return requests.get(url, headers=headers, stream=True, timeout=timeout)


def receive(
    response: "requests.Response",
    part: Path,
    *,
    size: int | None,
    limit: int,
    patience: Patience,
) -> None:
    """Write the body of `response` to `part`, appended or from the start."""
    start = length(part)
    status = response.status_code
    content_range = response.headers.get("Content-Range", "")
    if status == 416 and content_range == f"bytes */{start}":
        return
    if status == 416 or (
        status == 206 and not content_range.startswith(f"bytes {start}-")
    ):
        part.unlink(missing_ok=True)
        raise InterruptedTransferError(f"cannot resume at byte {start}")
    if status in RETRIED or status >= 500:
        raise InterruptedTransferError(f"HTTP {status} {response.reason}")
    if status not in (200, 206):
        raise UnavailableError(f"HTTP {status} {response.reason}")
    if status == 200:
        start = 0
    announced = response.headers.get("Content-Length", "")
    total = start + int(announced) if announced.isdigit() else None
    if size is not None and total not in (None, size):
        raise UnavailableError(f"offers {total} bytes, expected {size}")
    began = time.monotonic()
    with (
        part.open("ab" if start else "wb") as file,
        progress(part.stem, start, total or size, patience) as advance,
    ):
        response.raw.enforce_content_length = False  # a cut gets the message below
        # read1 returns what has arrived: a full block may never come.
        while block := response.raw.read1(BLOCK, decode_content=False):
            file.write(block)
            advance(len(block))
            if file.tell() > limit:
                raise UnavailableError(f"sends more than the {limit} bytes expected")
            elapsed = time.monotonic() - began
            rate = (file.tell() - start) / max(elapsed, 1e-9)
            if elapsed > patience.read_s and rate < patience.slowest:
                raise InterruptedTransferError(f"sends {rate:.0f} bytes a second")
    whole = total or size
    if whole is not None and length(part) < whole:
        raise InterruptedTransferError(
            f"closed the connection at {length(part)} of {whole} bytes"
        )


@contextlib.contextmanager
def progress(
    name: str, start: int, total: int | None, patience: Patience
) -> Iterator[Callable[[int], object]]:
    """Show a bar on a terminal, or log a line every few seconds."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(
            desc=name, initial=start, total=total, unit="B", unit_scale=True
        ) as bar:
            yield bar.update
        return
    done, last = start, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= patience.log_every_s:
            last = time.monotonic()
            of = f" of {total / MEGABYTE:.1f}" if total else ""
            log.info("%s: %.1f%s MB", name, done / MEGABYTE, of)

    yield advance


def length(path: Path) -> int:
    """Return the size of a file in bytes; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def innermost_reason(error: BaseException) -> str:
    """Return the message of the first exception in a chain of network exceptions."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__
