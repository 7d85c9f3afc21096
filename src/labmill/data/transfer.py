"""One file over HTTP: resumes, retries with back-off, gives up with a reason."""

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
RETRIED = (408, 425, 429)  # beside every 5xx: the server may do better later


@dataclass(frozen=True)
class Patience:
    """How long to wait: tries without progress, seconds between and within them."""

    attempts: int = 4
    backoff_s: float = 1.0
    connect_s: float = 10.0
    read_s: float = 30.0
    log_every_s: float = 10.0


class UnavailableError(Exception):
    """This address does not give the file; `reached`: whether its server answers."""

    def __init__(self, reason: str, *, reached: bool = True) -> None:
        super().__init__(reason)
        self.reached = reached


class InterruptedTransferError(Exception):
    """The transfer stopped for a reason that may pass."""


def download(
    url: str, part: Path, *, size: int | None, limit: int, patience: Patience
) -> None:
    """Fetch `url` into `part`, going on from the bytes that are there already.

    `size`: the file's length in bytes where it is known; `limit`: at most that many are
    taken. An attempt that brought new bytes starts the count of attempts anew. Raises
    UnavailableError.
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
            failures = 1 if length(part) > furthest else failures + 1
            furthest = max(furthest, length(part))
            if failures >= patience.attempts:
                raise UnavailableError(
                    f"{cause(error)} ({failures} attempts)", reached=reached
                ) from None
            wait = patience.backoff_s * 2 ** (failures - 1)
            log.info("%s: %s; again in %.0f s", url, cause(error), wait)
            time.sleep(wait)


def request(url: str, start: int, patience: Patience) -> "requests.Response":
    """An open response for the file from byte `start` on, as it lies on the server."""
    import requests

    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    return requests.get(
        url,
        headers=headers,
        stream=True,
        timeout=(patience.connect_s, patience.read_s),
    )


def receive(
    response: "requests.Response",
    part: Path,
    *,
    size: int | None,
    limit: int,
    patience: Patience,
) -> None:
    """Write the body of `response` to `part`, after what is there or from the start."""
    start = length(part)
    status = response.status_code
    content_range = response.headers.get("Content-Range", "")
    if status == 416 and content_range == f"bytes */{start}":
        return
    if status == 416 or (
        status == 206 and not content_range.startswith(f"bytes {start}-")
    ):
        part.unlink(missing_ok=True)
        raise InterruptedTransferError(f"cannot go on from byte {start}")
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
    with (
        part.open("ab" if start else "wb") as file,
        progress(part.stem, start, total or size, patience) as advance,
    ):
        response.raw.enforce_content_length = False  # a cut gets the message below
        for block in response.raw.stream(BLOCK, decode_content=False):
            file.write(block)
            advance(len(block))
            if file.tell() > limit:
                raise UnavailableError(f"sends more than the {limit} bytes expected")
    whole = total or size
    if whole is not None and length(part) < whole:
        raise InterruptedTransferError(
            f"closed the connection at {length(part)} of {whole} bytes"
        )


@contextlib.contextmanager
def progress(
    name: str, start: int, total: int | None, patience: Patience
) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; a line every few seconds in a log."""
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
    """The size of a file in bytes; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def cause(error: BaseException) -> str:
    """The innermost reason of a chain of network exceptions, in a few words."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return str(error) or type(error).__name__
