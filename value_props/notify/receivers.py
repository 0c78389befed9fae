"""What may be said of a receiver and of its fault: never its URL, which holds secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import requests


def fault_of(error: Exception) -> str:
    """Why a request failed, without its text, which may quote the URL."""
    is_silent = isinstance(error, requests.ConnectionError | requests.Timeout | TimeoutError)
    return f"it does not answer ({type(error).__name__})" if is_silent else type(error).__name__


def receiver_of(url: str) -> str:
    """Scheme, host and port of a URL, or an empty text if it is no http or https URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    # What is no name of a host may be a secret at a wrong place.
    is_url = parts.scheme in ("http", "https") and re.fullmatch(r"[\w.:-]+", host)
    return f"{parts.scheme}://{host}{port}" if is_url else ""
