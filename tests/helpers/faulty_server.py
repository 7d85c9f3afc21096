"""A real HTTP server on loopback that misbehaves as told."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server holds, how it behaves, what it was asked.

    plan: path -> behaviours, one per request; the last one stays. Default: `whole`.
    """

    url: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    plan: dict[str, list[Callable]] = field(default_factory=dict)
    requests: dict[str, list[str | None]] = field(
        default_factory=lambda: defaultdict(list)
    )
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving() -> Iterator[Site]:
    """A running server; ends with the block."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            site.requests[path].append(self.headers.get("Range"))
            steps = site.plan.get(path, [whole])
            behave = steps.pop(0) if len(steps) > 1 else steps[0]
            self.close_connection = True
            with suppress(BrokenPipeError, ConnectionResetError):
                behave(self, site, site.content.get(path))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield site
    site.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


def send(handler, status: int, headers: dict, body: bytes) -> None:
    handler.send_response(status)
    for key, value in {"Connection": "close", **headers}.items():
        handler.send_header(key, str(value))
    handler.end_headers()
    handler.wfile.write(body)


def respond(handler, content: bytes, *, stop: int | None = None) -> None:
    """The file or the range asked for; the connection closes after `stop` bytes."""
    asked = handler.headers.get("Range")
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    if asked and start >= len(content):
        headers = {"Content-Range": f"bytes */{len(content)}", "Content-Length": 0}
        return send(handler, 416, headers, b"")
    headers = {"Content-Length": len(content) - start}
    if asked:
        last = len(content) - 1
        headers["Content-Range"] = f"bytes {start}-{last}/{len(content)}"
    body = content[start:]
    send(handler, 206 if asked else 200, headers, body[:stop])


def whole(handler, site: Site, content: bytes | None) -> None:
    if content is None:
        return status(404)(handler, site, content)
    respond(handler, content)


def cut(after: int) -> Callable:
    return lambda handler, site, content: respond(handler, content, stop=after)


def status(code: int) -> Callable:
    return lambda handler, site, content: send(
        handler, code, {"Content-Length": 0}, b""
    )


def truncated(handler, site: Site, content: bytes) -> None:
    """A shorter file that claims to be whole."""
    respond(handler, content[: len(content) // 2])


def corrupted(handler, site: Site, content: bytes) -> None:
    respond(handler, b"?" + content[1:])


def without_range(stop: int | None = None) -> Callable:
    def behave(handler, site: Site, content: bytes) -> None:
        send(handler, 200, {"Content-Length": len(content)}, content[:stop])

    return behave


def unmeasured(content_of: Callable[[bytes], bytes]) -> Callable:
    """No Content-Length: the end of the connection is the end of the file."""

    def behave(handler, site: Site, content: bytes) -> None:
        send(handler, 200, {}, content_of(content))

    return behave


def hanging(after: int) -> Callable:
    """Sends some bytes, then nothing, with the connection open."""

    def behave(handler, site: Site, content: bytes) -> None:
        respond(handler, content, stop=after)
        handler.wfile.flush()
        site.closing.wait(20)

    return behave


def redirected(to: str) -> Callable:
    return lambda handler, site, content: send(
        handler, 302, {"Location": to, "Content-Length": 0}, b""
    )


def dripping(pause_s: float) -> Callable:
    """Sends one byte at a time, without end."""

    def behave(handler, site: Site, content: bytes) -> None:
        respond(handler, content, stop=0)
        for byte in content:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            if site.closing.wait(pause_s):
                return

    return behave
