"""Send an alert to its receivers, with Apprise or as a plain POST.

alerts.py runs this module as a process, so that it can kill the process at the deadline and discard
what the libraries log. The process reads a Parcel as JSON from stdin. For each receiver it writes a
line of JSON to stdout as soon as the result is known: the receiver's index, the scheme of its URL
(empty unless Apprise knows it), and why it was not notified, or null.
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
    """A message and its receivers.

    Args:
        receivers: pairs of a URL and the JSON object to post there, or None for an Apprise URL.
        title: title of the message that Apprise sends.
        body: plain text of that message. If it is empty, the Apprise URLs are only checked.
        kind: Apprise type of that message: failure, success or warning.
        seconds: timeout of each POST. The process ends itself one second after this time.
    """

    receivers: list[tuple[str, dict[str, Any] | None]]
    title: str
    body: str
    kind: str
    seconds: float


def main() -> None:
    """Send the parcel to all receivers in parallel, one daemon thread each."""
    parcel = Parcel(**json.load(sys.stdin.buffer))
    # If the parent process is killed, only this timer ends the process.
    signal.setitimer(signal.ITIMER_REAL, parcel.seconds + 1)
    # Libraries may print, and their output must not mix with the answers.
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
            # The text of the error may contain the URL, so fault_of leaves it out.
            fault = fault_of(error)
        settled.put((index, scheme, fault))

    for index, (url, payload) in enumerate(parcel.receivers):
        threading.Thread(target=send, args=(index, url, payload), daemon=True).start()
    for _ in parcel.receivers:
        print(json.dumps(settled.get()), file=answers, flush=True)


def _post(url: str, payload: dict[str, Any], seconds: float) -> str | None:
    """Post a JSON object. Return why the receiver refused it, or None."""
    import requests

    if not receiver_of(url):
        return "it is no http or https URL"
    # The body of the response is not read, because it is not needed and may never end.
    with requests.post(
        url, json=payload, timeout=seconds, allow_redirects=False, stream=True
    ) as answer:
        is_taken = 200 <= answer.status_code < 300
        return None if is_taken else f"status {answer.status_code}"


def _notify(url: str, parcel: Parcel) -> tuple[str, str | None]:
    """Send the message with Apprise. Return the scheme, and why sending failed, or None."""
    from apprise import Apprise, NotificationManager, NotifyBase, NotifyFormat, OverflowMode

    # A receiver may refuse a message that is too long, so Apprise cuts it.
    NotifyBase.overflow_mode = OverflowMode.TRUNCATE
    asset = _asset()
    service = Apprise.instantiate(url, asset=asset)
    if service is None:
        scheme = url.partition("://")[0].lower()
        # An unknown scheme may be a misplaced secret, so it is not returned.
        return scheme if scheme in NotificationManager() else "", "it is no URL that apprise reads"
    if service.schema == "slack":
        # An Airflow connection may set another address of the Slack API.
        for address in parse_qs(urlsplit(url).query).get("base_url", ()):
            service.api_url = f"{address.rstrip('/')}/{{}}"
    if not parcel.body:
        return service.schema, None
    result = Apprise(service, asset=asset).notify(
        parcel.body, parcel.title, parcel.kind, NotifyFormat.TEXT
    )
    if result:
        return service.schema, None
    # Only the status is read from the log of Apprise, because the rest may contain secrets.
    status = re.search(r"\berror=(\d{3})\b", " ".join(entry.message for entry in result.logs()))
    return service.schema, f"status {status[1]}" if status else "it was not told"


def _asset() -> AppriseAsset:
    """Return Apprise settings that send text unchanged and read no local file."""
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
        # Apprise needs no timeout of its own, because the process is killed at the deadline.
        service_timeout=0,
    )


if __name__ == "__main__":
    main()
