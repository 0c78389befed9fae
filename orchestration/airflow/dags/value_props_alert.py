"""Tell a Slack channel and by mail that a build failed, where their connections are set."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable
from typing import Any

from airflow.sdk import Connection

SLACK = "value_props_slack"
SMTP = "value_props_smtp"
CHANNEL = "#value-props"

logger = logging.getLogger("airflow.task.value_props")


def tell(context: dict[str, Any], recipients: tuple[str, ...]) -> None:
    """Send one message to each; what goes wrong with it is only logged.

    Args:
        context: of the failed task. Its exception is text for readers.
        recipients: of the mail.
    """
    ti = context["ti"]
    dag_run = context["dag_run"]
    lines = [
        *str(context.get("exception") or "value-props failed").splitlines(),
        f"Airflow: {dag_run.run_id}, try {ti.try_number}",
        f"Log: {ti.log_url}",
    ]
    _send("Slack", lambda: _post(lines, context))
    _send("mail", lambda: _mail(lines, recipients, context))


def _send(receiver: str, send: Callable[[], str]) -> None:
    try:
        logger.info("%s: %s", receiver, send())
    except Exception:
        logger.exception("%s could not be told", receiver)


def _post(lines: list[str], context: dict[str, Any]) -> str:
    connection = _connection(SLACK)
    if connection is None:
        return f"not told, there is no connection {SLACK}"
    from airflow.providers.slack.notifications.slack import SlackNotifier

    # Sentences quote names out of raw data: none of them may link, or call a channel. They are
    # sent as they are, since Airflow would take braces in them for a template.
    text = html.escape("\n".join(lines), quote=False)
    SlackNotifier(
        slack_conn_id=SLACK,
        channel=connection.extra_dejson.get("channel", CHANNEL),
        username="value-props",
        text=text,
        unfurl_links=False,
        unfurl_media=False,
    ).notify(context)
    return "told"


def _mail(lines: list[str], recipients: tuple[str, ...], context: dict[str, Any]) -> str:
    if not recipients:
        return "not told, VALUE_PROPS_MAIL_TO names nobody"
    if _connection(SMTP) is None:
        return f"not told, there is no connection {SMTP}"
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    SmtpNotifier(
        smtp_conn_id=SMTP,
        to=list(recipients),
        subject=lines[0],
        html_content="<br>\n".join(html.escape(line) for line in lines),
    ).notify(context)
    return "told"


def _connection(name: str) -> Connection | None:
    try:
        return Connection.get(name)
    except Exception:
        # Each kind of store of connections raises its own error for one that is not there.
        return None
