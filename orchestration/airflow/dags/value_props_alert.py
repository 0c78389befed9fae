"""Send alerts about a failed build with `value-props notify`, also to Airflow's connections."""

from __future__ import annotations

import logging
import os
import subprocess  # nosec B404
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from value_props_job import Failure, Job, Settings, alert_environment_of

SLACK = "value_props_slack"
SMTP = "value_props_smtp"
CHANNEL = "#value-props"

logger = logging.getLogger("airflow.task.value_props")


def tell(context: dict[str, Any], settings: Settings) -> None:
    """Run `value-props notify` for a failed build. Errors of the command are only logged.

    Args:
        context: Airflow's context of the failed task.
        settings: settings of the DAG.
    """
    ti = context["ti"]
    error = context.get("exception")
    failure = getattr(error, "failure", None)
    lines = [f"Airflow: {context['dag_run'].run_id}, try {ti.try_number}", f"Log: {ti.log_url}"]
    if error is not None and failure is None:
        lines.insert(0, str(error))
    try:
        urls = [
            *_urls("Slack", SLACK, slack_url),
            *_urls("mail", SMTP, lambda found: mail_url(found, settings.recipients)),
        ]
        job = Job(
            settings.command,
            # The URLs contain secrets. Arguments would show in process lists, variables do not.
            alert_environment_of(os.environ, urls),
            lambda line: logger.info("%s", line),
        )
        job.notify(failure or Failure(), lines)
    except (OSError, subprocess.TimeoutExpired) as fault:
        logger.error("Nobody was told of the failure: %s", fault)
    except Exception as fault:
        # The text of the error may contain a URL, so only its type is logged.
        logger.error("Nobody was told of the failure: %s", type(fault).__name__)


def slack_url(connection: Any) -> str:
    """Return the Apprise URL for a Slack connection of Airflow: its token and channel."""
    extra = connection.extra_dejson
    channel = quote(extra.get("channel") or CHANNEL, safe="")
    query = {"footer": "no"}
    if extra.get("base_url"):
        query["base_url"] = extra["base_url"]
    token = quote(connection.password or "", safe="")
    return f"slack://value-props@{token}/{channel}?{urlencode(query)}"


def mail_url(connection: Any, recipients: Sequence[str]) -> str:
    """Return the Apprise URL for an SMTP connection of Airflow; empty without recipients.

    The connection uses TLS as in Airflow: from the start by default, after STARTTLS if
    `disable_ssl` is set, and not at all if `disable_tls` is set too.
    """
    if not recipients:
        return ""
    extra = connection.extra_dejson
    mode = "ssl"
    if extra.get("disable_ssl"):
        mode = "insecure" if extra.get("disable_tls") else "starttls"
    port = connection.port or (465 if mode == "ssl" else 25)
    query = {"mode": mode, "format": "text", "to": ",".join(recipients)}
    if extra.get("from_email"):
        query["from"] = extra["from_email"]
    login = [quote(part, safe="") for part in (connection.login, connection.password) if part]
    user = f"{':'.join(login)}@" if login else ""
    scheme = "mailto" if mode == "insecure" else "mailtos"
    return f"{scheme}://{user}{connection.host}:{port}?{urlencode(query)}"


def _urls(receiver: str, name: str, url_of: Callable[[Any], str]) -> list[str]:
    """Return the URL for a connection of Airflow; empty if there is none."""
    # Import Airflow only here, so that the other functions can be tested without it.
    from airflow.sdk import Connection

    try:
        connection = Connection.get(name)
    except Exception:
        # Each secrets backend raises its own error for a missing connection.
        logger.info("%s: not told, there is no connection %s", receiver, name)
        return []
    url = url_of(connection)
    if not url:
        logger.info("%s: not told, VALUE_PROPS_MAIL_TO names nobody", receiver)
    return [url] if url else []
