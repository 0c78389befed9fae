"""Name a receiver and its fault without its URL, which contains secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import requests


def fault_of(error: Exception) -> str:
    """Return why a request failed, without the text of the error, which may quote the URL."""
    is_silent = isinstance(error, requests.ConnectionError | requests.Timeout | TimeoutError)
    return f"it does not answer ({type(error).__name__})" if is_silent else type(error).__name__


def receiver_of(url: str) -> str:
    """Return scheme, host and port of a URL; empty if it is not an http or https URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    # A text that is no valid host may be a misplaced secret, so it is not returned.
    is_url = parts.scheme in ("http", "https") and re.fullmatch(r"[\w.:-]+", host)
    return f"{parts.scheme}://{host}{port}" if is_url else ""
