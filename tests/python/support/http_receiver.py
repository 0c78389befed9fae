"""A real HTTP server on this machine that keeps what it is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

SECRET = "T0-secret-B0"
Answer = Callable[[BaseHTTPRequestHandler], None]


def with_status(status: int, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


@dataclass
class Receiver:
    """A real HTTP server on this machine that keeps what it is sent, by path."""

    url: str
    answer: Answer = field(default_factory=lambda: with_status(200))
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    is_over: Event = field(default_factory=Event)

    def environ(self, *variables: str, **others: str) -> dict[str, str]:
        """The environment that names this receiver in each of the variables."""
        paths = {variable: f"{self.url}/{variable}/{SECRET}" for variable in variables}
        return {**paths, **others}

    def payload(self, variable: str) -> Any:
        """The one payload that was sent to what the variable names."""
        [body] = [body for _, path, body in self.requests if path == f"/{variable}/{SECRET}"]
        return json.loads(body)

    def trickle(self, handler: BaseHTTPRequestHandler) -> None:
        """Send a byte now and then, for ever."""
        try:
            while not self.is_over.wait(0.05):
                handler.wfile.write(b"a")
        except OSError:
            pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.requests.append((self.command, self.path, body))
            found.answer(self)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()
