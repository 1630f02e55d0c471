"""`stacklens alerts`: look at alerts, take them on, end them."""

from __future__ import annotations

import contextlib
import getpass
from pathlib import Path
from typing import Any

import click

from analytics_service.adapters.timescale.alert_hands import Action, NotOpen, act, list_alerts
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import load_settings
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.report import print_table, write_json

OPEN = ("pending", "active", "acknowledged")
STATUSES = ("open", *OPEN, "resolved", "all")
by_option = click.option(
    "--by", default=getpass.getuser, help="Who does it; default: your login name."
)
comment_option = click.option("--comment", help="Why, for the history.")


@click.group()
def alerts() -> None:
    """List alerts, acknowledge them, or resolve them by hand.

    \b
    Examples:
      stacklens alerts list
      stacklens alerts ack 17 --comment "looking into it"
      stacklens alerts resolve 17 --comment "rolled back"
    """


@alerts.command("list")
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    default="open",
    show_default=True,
    help="Only those in this state.",
)
@click.option("--service", help="Only those of this service.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def list_(status: str, service: str | None, limit: int, output_json: Path | None) -> None:
    """List alerts, newest first.

    \b
    Examples:
      stacklens alerts list
      stacklens alerts list --status all --service payment-service
      stacklens alerts list --status resolved --output-json alerts.json
    """
    chosen = {"open": OPEN, "all": None}.get(status, (status,))
    opened = parameters(load_settings(), application_name="stacklens alerts")
    with contextlib.closing(opened.connect()) as conn:
        found = list_alerts(conn, chosen, service, limit)
    print_table(
        ("ID", "STATUS", "SEVERITY", "SERVICE", "RULE", "VALUE", "THRESHOLD", "SINCE", "BY"),
        [_line(alert) for alert in found],
    )
    if output_json is not None:
        rows = [{name: _plain(value) for name, value in alert.items()} for alert in found]
        write_json(output_json, {"alerts": rows, "count": len(rows), "status": status})


@alerts.command("ack")
@click.argument("alert_id", metavar="ID", type=click.IntRange(min=1))
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
@click.argument("alert_id", metavar="ID", type=click.IntRange(min=1))
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


def _do(alert_id: int, action: Action, by: str, comment: str | None) -> None:
    opened = parameters(load_settings(), application_name="stacklens alerts")
    with contextlib.closing(opened.connect()) as conn:
        try:
            act(conn, alert_id, action, by, comment)
        except NotOpen as error:
            raise CommandFailed(str(error)) from None


def _line(alert: dict[str, Any]) -> tuple[str, ...]:
    since = alert["active_since"] or alert["pending_since"]
    value = "-" if alert["value"] is None else f"{alert['value']:g}"
    return (
        str(alert["id"]), alert["status"], alert["severity"], alert["service"], alert["rule_name"], value,
        f"{alert['threshold']:g}", since.isoformat(timespec="seconds"), alert["acknowledged_by"] or "-",
    )  # fmt: skip


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
