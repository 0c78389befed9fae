"""Start a real HTTP server on this machine that records requests."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
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
    """A running HTTP server that records method, path and body of each request."""

    url: str
    answer: Answer = field(default_factory=lambda: with_status(200))
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    is_over: Event = field(default_factory=Event)

    @property
    def address(self) -> str:
        """Host and port, for URLs of other schemes."""
        return self.url.partition("://")[2]

    def environ(self, *variables: str, **others: str) -> dict[str, str]:
        """Return an environment in which each of the variables is a URL of this receiver."""
        paths = {variable: f"{self.url}/{variable}/{SECRET}" for variable in variables}
        return {**paths, **others}

    def payload(self, variable: str) -> Any:
        """Return the only payload that was sent to the URL of a variable."""
        [body] = [body for _, path, body in self.requests if path == f"/{variable}/{SECRET}"]
        return json.loads(body)

    def trickle(self, handler: BaseHTTPRequestHandler) -> None:
        """Send a byte every 0.05 seconds until the receiver ends or the client leaves."""
        try:
            while not self.is_over.wait(0.05):
                handler.wfile.write(b"a")
        except OSError:
            pass


def stays_silent(receiver: Receiver) -> None:
    """Make a receiver accept requests but never answer."""

    def answer(_: BaseHTTPRequestHandler) -> None:
        receiver.is_over.wait()

    receiver.answer = answer


def never_ends_its_headers(receiver: Receiver) -> None:
    """Make a receiver send its headers without end, each byte within any read timeout."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
        receiver.trickle(handler)

    receiver.answer = answer


def never_ends_its_answer(receiver: Receiver) -> None:
    """Make a receiver accept requests and send a body without end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        with_status(200)(handler)
        receiver.trickle(handler)

    receiver.answer = answer


def with_json(text: bytes) -> Answer:
    """Return an answer with status 200 and a JSON body."""
    return with_body(text, "application/json")


def with_body(content: bytes, content_type: str) -> Answer:
    """Return an answer with status 200 and a body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def _certificate(folder: Path) -> ssl.SSLContext:
    """Return a TLS context with a self-signed certificate, which no client trusts."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"),
            *("-keyout", key, "-out", certificate),
        ],
        stderr=subprocess.DEVNULL,
        check=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextmanager
def receiving(certificates: Path | None = None) -> Iterator[Receiver]:
    """Start a receiver.

    Args:
        certificates: empty folder for its certificate; None for plain http.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.requests.append((self.command, self.path, body))
            found.answer(self)

        do_GET = do_PUT = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"{'https' if certificates else 'http'}://127.0.0.1:{server.server_port}")
    if certificates:
        server.socket = _certificate(certificates).wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()
