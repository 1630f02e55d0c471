"""`stacklens smoke`: one event through everything."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click

from analytics_service.config import load_settings
from analytics_service.entrypoints.cli.api_access import base_url_option, login_options, login_to
from analytics_service.entrypoints.cli.checking import PASS, CheckFailed, run_checks
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import print_table, write_json
from analytics_service.entrypoints.cli.smoke_steps import (
    BAD_LEVEL,
    Look,
    SmokeEvent,
    api_looks,
    dead_letter_look,
    open_database,
    produce,
    stored_looks,
)
from analytics_service.entrypoints.cli.stopping import StopSignal

SKIP = "SKIP"
LOOK_EVERY_S = 0.05
LONGEST_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `seconds` since the messages were acknowledged, of sending them since it began."""

    step: str
    outcome: str
    seconds: float
    detail: str


class Walk:
    """One step after the other until the deadline; after a failure the rest is skipped."""

    def __init__(self, stop: StopSignal, timeout_s: float) -> None:
        self.steps: list[Step] = []
        self._stop = stop
        self._timeout_s = timeout_s
        self._since = time.monotonic()
        self._progress = Progress("smoke")

    @property
    def is_well(self) -> bool:
        """Whether every step so far went well."""
        return all(step.outcome == PASS for step in self.steps)

    def do(self, name: str, action: Callable[[], str]) -> None:
        """Do something once. The clock of the steps that are waited for begins anew after it."""
        self._take(name, action)
        self._since = time.monotonic()

    def wait_for(self, name: str, look: Look) -> None:
        """Look again and again until there is something, or no hope."""
        self._take(name, partial(self._found, name, look))

    def _take(self, name: str, action: Callable[[], str]) -> None:
        if not self.is_well:
            self.steps.append(Step(name, SKIP, 0.0, "a step before it failed"))
            return
        (finding,) = run_checks([(name, action)])
        seconds = round(time.monotonic() - self._since, 3)
        self.steps.append(Step(name, finding.outcome, seconds, finding.detail))
        self._progress.finish()

    def _found(self, name: str, look: Look) -> str:
        why = "not there"
        while True:
            try:
                found = look()
            except OSError as error:  # it may come back
                found, why = None, str(error)
            if found is not None:
                return found
            if time.monotonic() >= self._since + self._timeout_s:
                raise CheckFailed(f"{why}, {self._timeout_s:g} s after sending")
            if self._stop.wait(LOOK_EVERY_S):
                raise CheckFailed("interrupted")
            self._progress.update(len(self.steps), f"steps done; waiting: {name}")


@click.command()
@base_url_option
@login_options
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="Seconds until what is not there yet counts as failed.",
)
@click.option(
    "--bad-event", is_flag=True, help="Also check that a bad event becomes a dead letter."
)
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def smoke(
    base_url: str,
    user: str | None,
    password: str | None,
    timeout: float,
    bad_event: bool,
    output_json: Path | None,
) -> int:
    """Send one event through everything: Kafka, worker, tables of all windows, API. Exit status 0 if it arrived.

    The event's service is called deployment-smoke- and eight hexadecimal digits, new each time, so that
    it counts exactly 1; it stays in the tables for as long as they are kept. With --bad-event a second
    message breaks a rule on purpose; its dead letter is set to discarded once it is found.

    Kafka and the database are those of the environment. The password of --user is taken from
    STACKLENS_PASSWORD, else asked for; without --user name and password are those of ~/.netrc.

    \b
    Examples:
      stacklens smoke
      stacklens smoke --base-url http://localhost:8005 --user demo --timeout 60
      stacklens smoke --bad-event --output-json smoke.json
    """
    settings = load_settings()
    login = login_to(base_url, user, password)
    event = SmokeEvent(secrets.token_hex(4), time.time_ns() // 1000)
    bad = SmokeEvent(secrets.token_hex(4), event.at_us)
    click.echo(f"service {event.service}")
    with StopSignal() as stop, open_database(settings) as conn:
        walk = Walk(stop, timeout)
        walk.do("sent to Kafka", partial(produce, settings, event.value()))
        if bad_event:
            walk.do("bad event sent to Kafka", partial(produce, settings, bad.value(BAD_LEVEL)))
        for name, look in stored_looks(conn, event):
            walk.wait_for(name, look)
        for name, look in api_looks(base_url, login, event, min(timeout, LONGEST_ANSWER_S)):
            walk.wait_for(name, look)
        if bad_event:
            walk.wait_for("bad event is a dead letter", dead_letter_look(conn, bad))
    print_table(
        ("STEP", "OUTCOME", "SECONDS", "DETAIL"),
        [(each.step, each.outcome, f"{each.seconds:.3f}", each.detail) for each in walk.steps],
    )
    if output_json is not None:
        report = {
            "ok": walk.is_well,
            "service": event.service,
            "steps": list(map(asdict, walk.steps)),
        }
        write_json(output_json, report)
    return 0 if walk.is_well else 1
