"""`stacklens health-check`: one line, one exit status. For cron."""

from __future__ import annotations

import json

import click

from analytics_service.config import load_settings
from analytics_service.entrypoints.cli.api_access import base_url_option
from analytics_service.entrypoints.cli.checking import PASS, CheckFailed, run_checks
from analytics_service.entrypoints.cli.notify_alert import tell
from analytics_service.entrypoints.cli.report import printable
from analytics_service.entrypoints.cli.verify_http import get

MOST_TOLD = 300


@click.command("health-check")
@base_url_option
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    help="Seconds without a byte after which there is no answer.",
)
@click.option("--notify", is_flag=True, help="Tell people, as notify_alert does, if it is not.")
def health_check(base_url: str, timeout: float, notify: bool) -> int:
    """Is the API healthy? Prints one line; exit status 0 if it is, 1 and why if it is not.

    Needs no password, and with --notify the settings of the channels alone (without --base-url also API_PORT).

    \b
    Examples:
      stacklens health-check --notify
      stacklens health-check --base-url http://localhost:8005
      stacklens health-check || notify_alert
    """
    (finding,) = run_checks([("health", lambda: _asked(base_url, timeout))])
    if finding.outcome == PASS:
        click.echo(finding.detail)
        return 0
    why = f"StackLens at {base_url} is not healthy: {finding.detail}"
    click.echo(why)
    if notify:
        tell(load_settings(), why)
    return 1


def _asked(base_url: str, timeout_s: float) -> str:
    answer = get(f"{base_url}/health", timeout_s=timeout_s)
    document = answer.document()
    if answer.status == 200 and document.get("status") == "healthy":
        return "healthy"
    parts = document.get("failed")
    failed = f": {json.dumps(parts, ensure_ascii=False)}" if parts else ""
    told = printable(f"status {answer.status}, {document.get('status')}{failed}")
    raise CheckFailed(told[:MOST_TOLD])
