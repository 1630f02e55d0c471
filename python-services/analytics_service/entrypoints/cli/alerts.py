"""`stacklens alerts`: look at alerts, take them on, end them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from psycopg2.extensions import connection

from analytics_service.adapters.timescale.alert_hands import Action, NotOpen, act
from analytics_service.adapters.timescale.alert_records import (
    OPEN,
    AlertFilter,
    alert_numbered,
    deliveries_of,
    history_of,
    list_alerts,
)
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.alerting.channel_test import SWITCHES, ChannelOff, channels_on, send_test
from analytics_service.config import load_settings
from analytics_service.domain.rules import CHANNELS
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.hands import Text, by_option, comment_option
from analytics_service.entrypoints.cli.report import print_table, printable, write_json

STATUSES = ("open", *OPEN, "resolved", "all")
id_argument = click.argument("alert_id", metavar="ID", type=click.IntRange(min=1, max=2**63 - 1))
json_option = click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)


@click.group()
def alerts() -> None:
    """List alerts, look at one, acknowledge them, or resolve them by hand; test the channels they are told on.

    \b
    Examples:
      stacklens alerts list
      stacklens alerts show 17
      stacklens alerts ack 17 --comment "looking into it"
      stacklens alerts resolve 17 --comment "rolled back"
      stacklens alerts test --channel slack
    """


@alerts.command("list")
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    default="open",
    show_default=True,
    help="Only those in this state.",
)
@click.option("--service", type=Text(255), help="Only those of this service.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
@json_option
def list_(status: str, service: str | None, limit: int, output_json: Path | None) -> None:
    """List alerts: those that are pending, then the others, of both the newest first.

    \b
    Examples:
      stacklens alerts list
      stacklens alerts list --status all --service payment-service
      stacklens alerts list --status resolved --output-json alerts.json
    """
    chosen = {"open": OPEN, "all": None}.get(status, (status,))
    with _database() as conn, conn.cursor() as cur:
        found = list_alerts(cur, AlertFilter(chosen, None if service is None else [service]), limit)
    print_table(
        ("ID", "STATUS", "SEVERITY", "SERVICE", "RULE", "VALUE", "THRESHOLD", "SINCE", "BY"),
        [_line(alert) for alert in found],
    )
    if output_json is not None:
        rows = [_plain(alert) for alert in found]
        write_json(output_json, {"alerts": rows, "count": len(rows), "status": status})


@alerts.command("show")
@id_argument
@json_option
def show(alert_id: int, output_json: Path | None) -> None:
    """Show one alert: what happened to it, and what each channel was told.

    \b
    Examples:
      stacklens alerts show 17
      stacklens alerts show 17 --output-json alert.json
    """
    with _database() as conn, conn.cursor() as cur:
        alert = alert_numbered(cur, alert_id)
        if alert is None:
            raise CommandFailed(
                f"there is no alert {alert_id}: see `stacklens alerts list --status all`"
            )
        history = history_of(cur, alert_id)
        deliveries = deliveries_of(cur, alert["episode_id"])
    print_table(("FIELD", "VALUE"), [(name, _shown(value)) for name, value in alert.items()])
    click.echo()
    print_table(
        ("AT", "FROM", "TO", "VALUE", "BY", "COMMENT"),
        [
            _cells(step, "at", "from_status", "to_status", "value", "actor", "comment")
            for step in history
        ],
    )
    click.echo()
    print_table(
        ("DUE", "CHANNEL", "WHAT", "STATUS", "REASON", "ATTEMPTS", "DONE", "LAST ERROR"),
        [
            _cells(
                each, "created_at", "channel", "kind", "status", "reason", "attempts", "finished_at", "last_error"
            )
            for each in deliveries
        ],
    )  # fmt: skip
    if output_json is not None:
        write_json(
            output_json,
            {
                "alert": _plain(alert),
                "history": [_plain(step) for step in history],
                "deliveries": [_plain(each) for each in deliveries],
            },
        )


@alerts.command("ack")
@id_argument
@by_option
@comment_option
def ack(alert_id: int, by: str, comment: str | None) -> None:
    """Take an active alert on: it is not repeated any more.

    \b
    Examples:
      stacklens alerts ack 17
      stacklens alerts ack 17 --by anna --comment "looking into it"
    """
    _do(alert_id, "acknowledge", by, comment)
    click.echo(f"alert {alert_id} is acknowledged by {by}")


@alerts.command("resolve")
@id_argument
@by_option
@comment_option
def resolve(alert_id: int, by: str, comment: str | None) -> None:
    """End an alert by hand. If its rule is still violated, another one begins.

    \b
    Examples:
      stacklens alerts resolve 17
      stacklens alerts resolve 17 --by anna --comment "rolled back"
    """
    _do(alert_id, "resolve", by, comment)
    click.echo(f"alert {alert_id} is resolved by {by}")


@alerts.command("test")
@click.option(
    "--channel",
    "channels",
    type=click.Choice(CHANNELS),
    multiple=True,
    help="Where to send it, repeatable; default: every channel that is on.",
)
@by_option
@json_option
def test(channels: tuple[str, ...], by: str, output_json: Path | None) -> int:
    """Send a test message, and show what the other side answers. Needs no database. On PagerDuty an incident is opened
    and closed.

    \b
    Examples:
      stacklens alerts test
      stacklens alerts test --channel slack --channel email
    """
    settings = load_settings()
    chosen = list(dict.fromkeys(channels)) or channels_on(settings)
    if not chosen:
        raise CommandFailed(f"no channel is on: set {', or '.join(SWITCHES.values())}")
    rows = []
    for channel in chosen:
        try:
            outcome = send_test(settings, channel, by, time.time())
            rows.append({"channel": channel, "result": outcome.result, "detail": outcome.detail})
        except ChannelOff as error:
            rows.append({"channel": channel, "result": "off", "detail": str(error)})
    print_table(
        ("CHANNEL", "RESULT", "DETAIL"),
        [_cells(row, "channel", "result", "detail") for row in rows],
    )
    if output_json is not None:
        write_json(output_json, {"channels": rows})
    return int(any(row["result"] != "sent" for row in rows))


@contextlib.contextmanager
def _database() -> Iterator[connection]:
    opened = parameters(load_settings(), application_name="stacklens alerts")
    with contextlib.closing(opened.connect()) as conn:
        yield conn


def _do(alert_id: int, action: Action, by: str, comment: str | None) -> None:
    with _database() as conn:
        try:
            act(conn, alert_id, action, by, comment)
        except NotOpen as error:
            raise CommandFailed(f"{error}: see `stacklens alerts list --status all`") from None


def _line(alert: dict[str, Any]) -> tuple[str, ...]:
    since = alert["active_since"] or alert["pending_since"]
    return (
        *_cells(alert, "id", "status", "severity", "service", "rule_name", "value", "threshold"),
        _shown(since), _shown(alert["acknowledged_by"]),
    )  # fmt: skip


def _cells(row: dict[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(_shown(row[name]) for name in names)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return f"{value:g}" if isinstance(value, float) else printable(str(value))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }
