"""`notify_alert`: tells people something through the channels that alerts go to. Cron's lines end in it."""

from __future__ import annotations

import os
import select
import sys
import time
from typing import Final

import click

from analytics_service.alerting.channel_test import SWITCHES
from analytics_service.alerting.text_message import TextMessage, send_text
from analytics_service.config import Settings, load_settings
from analytics_service.domain.notices import RANK
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.main import run_program

PROGRAM = "notify_alert"
MOST_READ: Final = 16 * 1024
SILENCE_S: Final = 5.0


@click.command(PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("text", nargs=-1)
@click.option(
    "--severity",
    type=click.Choice(list(RANK)),
    default="critical",
    show_default=True,
    help="How bad it is.",
)
@click.option("--host", metavar="NAME", help="Which machine says so; default: this one.")
def notify_alert(text: tuple[str, ...], severity: str, host: str | None) -> int:
    """Send TEXT to every channel that is on: Slack, email, PagerDuty.

    Without TEXT it is what comes on standard input (within 5 seconds; TEXT - waits for its end), and if
    nothing does, that a check on this machine has failed. Exit status 0 if every channel took it, 1 if one did not
    or none is on.

    \b
    Examples:
      notify_alert "the backup failed"
      tail -n 3 backup.log | notify_alert --severity warning
      curl -s http://localhost:8005/health | jq -e '.status == "healthy"' || notify_alert
    """
    settings = load_settings()
    words = " ".join(text)
    if text in ((), ("-",)):
        words = _piped(None if text else SILENCE_S)
    host = host or this_host()
    told = tell(settings, words.strip() or default_text(host), severity, host)
    click.echo(f"told: {', '.join(told)}")
    return 0


def tell(
    settings: Settings,
    text: str,
    severity: str = "critical",
    host: str | None = None,
) -> list[str]:
    """Send `text` and return the channels that took it. Raises CommandFailed if one did not, or none is on."""
    message = TextMessage(text, host or this_host(), severity, time.time())
    outcomes = send_text(settings, message)
    if not outcomes:
        raise CommandFailed(
            f"nobody was told, no channel is on: set {', or '.join(SWITCHES.values())}"
        )
    failed = [
        f"{channel}: {outcome.detail}"
        for channel, outcome in outcomes.items()
        if outcome.result != "sent"
    ]
    if failed:
        told = [name for name, outcome in outcomes.items() if outcome.result == "sent"]
        raise CommandFailed(f"not told: {'; '.join(failed)}. Told: {', '.join(told) or 'nobody'}")
    return list(outcomes)


def default_text(host: str) -> str:
    """What is told when nobody says what."""
    return f"StackLens: a check on {host} has failed"


def this_host() -> str:
    """The name of this machine; in a container the container's."""
    return os.uname().nodename


def _piped(silence_s: float | None) -> str:
    """What comes on standard input, at most 16 KB.

    A terminal says nothing, and neither does a pipe that stays silent for `silence_s` (None: it is waited for): what
    runs in the middle of a shell's line inherits one that nobody will ever write to.
    """
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return ""
    place, read = sys.stdin.fileno(), b""
    while len(read) < MOST_READ and select.select([place], [], [], silence_s)[0]:
        chunk = os.read(place, 4096)
        if not chunk:
            break
        read += chunk
    return read.decode("utf-8", "replace")


def main() -> None:
    """Entry point of the program."""
    sys.exit(run_program(notify_alert, PROGRAM, None))


if __name__ == "__main__":
    main()
