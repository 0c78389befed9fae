"""Start an SMTP server on this machine that records mails."""

from __future__ import annotations

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread


@contextmanager
def mail_server() -> Iterator[tuple[int, list[tuple[list[str], str]]]]:
    """Start an SMTP server on this machine.

    Yields:
        Its port, and a list that gets the recipients and text of each mail.
    """
    mails: list[tuple[list[str], str]] = []

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            recipients: list[str] = []
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "MAIL":
                    recipients = []
                if verb == "RCPT":
                    recipients.append(line.partition("<")[2].rstrip(">"))
                if verb != "DATA":
                    self.say("221 bye" if verb == "QUIT" else "250 ok")
                    continue
                self.say("354 go on")
                text = []
                while (part := self.rfile.readline().decode()) != ".\r\n":
                    text.append(part)
                mails.append((recipients, "".join(text)))
                self.say("250 ok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()
