"""Send an alert to its receivers, by apprise or as a plain POST.

Run as a module by alerts.py: reads a Parcel as JSON, and answers with a line of JSON for each
receiver as soon as it is known: its index, the scheme of its URL (empty unless apprise knows
it), and why it was not told, or null. It is a process of its own, so that it can be ended at the
deadline whatever it waits for, and what the libraries log stays in here.
"""

from __future__ import annotations

import json
import queue
import re
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from value_props.notify.receivers import fault_of, receiver_of

if TYPE_CHECKING:
    from apprise import AppriseAsset


@dataclass(frozen=True)
class Parcel:
    """What to send, and to whom.

    Args:
        receivers: a URL each, and the JSON object to post there; None for a URL of apprise.
        title: of the message for apprise.
        body: of that message, plain text; empty to look only whether apprise reads the URLs.
        kind: of that message: failure, success or warning.
        seconds: how long it may take.
    """

    receivers: list[tuple[str, dict[str, Any] | None]]
    title: str
    body: str
    kind: str
    seconds: float


def main() -> None:
    """Send the parcel to all receivers at once; a silent one is left when the process ends."""
    parcel = Parcel(**json.load(sys.stdin.buffer))
    # Should the run that started this be killed, nobody else ends it.
    signal.setitimer(signal.ITIMER_REAL, parcel.seconds + 1)
    # A library that prints would garble the answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    settled: queue.SimpleQueue[tuple[int, str, str | None]] = queue.SimpleQueue()

    def send(index: int, url: str, payload: dict[str, Any] | None) -> None:
        scheme, fault = "", None
        try:
            if payload is not None:
                fault = _post(url, payload, parcel.seconds)
            else:
                scheme, fault = _notify(url, parcel)
        except Exception as error:
            # Its text may hold the URL.
            fault = fault_of(error)
        settled.put((index, scheme, fault))

    for index, (url, payload) in enumerate(parcel.receivers):
        threading.Thread(target=send, args=(index, url, payload), daemon=True).start()
    for _ in parcel.receivers:
        print(json.dumps(settled.get()), file=answers, flush=True)


def _post(url: str, payload: dict[str, Any], seconds: float) -> str | None:
    """Post a JSON object; returns why it was not taken."""
    import requests

    if not receiver_of(url):
        return "it is no http or https URL"
    # The body of the answer is not read: it tells nothing and may never end.
    with requests.post(
        url, json=payload, timeout=seconds, allow_redirects=False, stream=True
    ) as answer:
        is_taken = 200 <= answer.status_code < 300
        return None if is_taken else f"status {answer.status_code}"


def _notify(url: str, parcel: Parcel) -> tuple[str, str | None]:
    """Send the message by apprise; returns the scheme and why it was not taken."""
    from apprise import Apprise, NotificationManager, NotifyBase, NotifyFormat, OverflowMode

    # A message that a receiver refuses for its length would tell nothing.
    NotifyBase.overflow_mode = OverflowMode.TRUNCATE
    asset = _asset()
    service = Apprise.instantiate(url, asset=asset)
    if service is None:
        scheme = url.partition("://")[0].lower()
        # What is no scheme may be a secret at a wrong place.
        return scheme if scheme in NotificationManager() else "", "it is no URL that apprise reads"
    if service.schema == "slack":
        # Its API at an address of one's own, which a connection of Airflow may name.
        for address in parse_qs(urlsplit(url).query).get("base_url", ()):
            service.api_url = f"{address.rstrip('/')}/{{}}"
    if not parcel.body:
        return service.schema, None
    result = Apprise(service, asset=asset).notify(
        parcel.body, parcel.title, parcel.kind, NotifyFormat.TEXT
    )
    if result:
        return service.schema, None
    # Of what apprise logs only this holds no secret.
    status = re.search(r"\berror=(\d{3})\b", " ".join(entry.message for entry in result.logs()))
    return service.schema, f"status {status[1]}" if status else "it was not told"


def _asset() -> AppriseAsset:
    """Settings of apprise: a sentence is text and nothing more, and no local file is read."""
    from apprise import AppriseAsset

    return AppriseAsset(
        app_id="value-props",
        app_desc="value-props",
        app_url="",
        image_path_mask=False,
        image_url_mask="",
        image_url_logo="",
        interpret_emojis=False,
        interpret_escapes=False,
        allow_templates=False,
        pem_autogen=False,
        pgp_autogen=False,
        storage_mode="memory",
        http_redirects=False,
        secure_logging=True,
        # The process is ended in time.
        service_timeout=0,
    )


if __name__ == "__main__":
    main()
