"""`stacklens silences`: let nobody be told of some alerts for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.audit import LONGEST_COMMENT, Hand
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.silences import (
    STATES,
    NoSuchSilence,
    SilenceOver,
    State,
    StoredSilence,
    database_now,
    end_silence,
    list_silences,
    make_silence,
)
from analytics_service.config import load_settings
from analytics_service.domain.durations import parse_duration, parse_later
from analytics_service.domain.rules import METRICS, SEVERITIES
from analytics_service.domain.silence_checks import matcher_problems, period_problems
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.hands import Text, by_option, comment_option
from analytics_service.entrypoints.cli.report import print_table, printable, write_json

CURRENT: tuple[State, ...] = ("active", "pending")
json_option = click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)


@click.group()
def silences() -> None:
    """List silences, make one, or end one. A silence keeps messages back; the alerts themselves go on.

    \b
    Examples:
      stacklens silences add --service payment-api --for 2h --comment "database is being moved"
      stacklens silences list
      stacklens silences end 7
    """


@silences.command("list")
@click.option(
    "--state",
    type=click.Choice(["current", *STATES, "all"]),
    default="current",
    show_default=True,
    help="Only those in this state; current: active or pending.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
@json_option
def list_(state: str, limit: int, output_json: Path | None) -> None:
    """List silences, newest first.

    \b
    Examples:
      stacklens silences list
      stacklens silences list --state expired --limit 200
      stacklens silences list --state all --output-json silences.json
    """
    chosen = {"current": CURRENT, "all": STATES}.get(state) or [s for s in STATES if s == state]
    with _database() as cur:
        found = list_silences(cur, chosen, limit)
    print_table(
        ("ID", "STATE", "MATCHES", "FROM", "UNTIL", "BY", "COMMENT"),
        [_line(each) for each in found],
    )
    if output_json is not None:
        rows = [_plain(each) for each in found]
        write_json(output_json, {"silences": rows, "count": len(rows), "state": state})


@silences.command("add")
@click.option("--service", metavar="X", help="Alerts of this service; * is any characters: pay*.")
@click.option("--rule", "rule_name", metavar="R", help="Alerts of this rule; * is any characters.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Alerts of this severity.")
@click.option("--metric", "metric_name", type=click.Choice(METRICS), help="Alerts of this metric.")
@click.option("--for", "duration", metavar="DURATION", help="For how long: 30m, 2h, 1d.")
@click.option("--until", metavar="TIME", help="Until when: ISO 8601, or +2h.")
@click.option("--from", "since", metavar="TIME", help="From when; default: now.")
@click.option("--comment", type=Text(LONGEST_COMMENT), metavar="TEXT", required=True, help="Why.")
@by_option
@json_option
def add(
    *,
    duration: str | None,
    until: str | None,
    since: str | None,
    comment: str,
    by: str,
    output_json: Path | None,
    **matcher: str | None,
) -> None:
    """Keep back messages about alerts that match all that is named; prints the silence's number.

    Times are ISO 8601 (without a zone: UTC), now, or from now on such as +2h.

    \b
    Examples:
      stacklens silences add --service payment-api --for 2h --comment "database is being moved"
      stacklens silences add --rule "*Latency*" --severity warning --until 2026-02-01T06:00Z --comment "load test"
      stacklens silences add --service "batch-*" --from +1h --for 30m --comment "nightly run"
    """
    if (duration is None) == (until is None):
        raise click.UsageError("Either --for or --until says when it ends.")
    hints = {"rule_name": "--rule", "metric_name": "--metric"}
    for name, why in matcher_problems(matcher).items():
        raise click.UsageError(
            f"{hints.get(name, '--' + name)}: {why}"
            if name
            else "At least one of --service, --rule, --severity and --metric says what it is about."
        )
    with _database() as cur:
        now = database_now(cur)
        starts_at = None if since is None else _read("--from", parse_later, since, now)
        if until is not None:
            ends_at = _read("--until", parse_later, until, now)
        else:
            ends_at = _read("--for", _after, duration or "", max(starts_at or now, now))
        for why in period_problems(starts_at, ends_at, now).values():
            raise click.UsageError(f"--until: {why.replace('`from`', '--from')}")
        wanted = {name: value for name, value in matcher.items() if value is not None}
        made = make_silence(cur, Hand(by, comment), wanted, starts_at, ends_at)
    click.echo(f"silence {made.id} is {made.state}, until {made.ends_at.isoformat()}")
    if output_json is not None:
        write_json(output_json, _plain(made))


@silences.command("end")
@click.argument("silence_id", metavar="ID", type=click.IntRange(min=1, max=2**63 - 1))
@by_option
@comment_option
@json_option
def end(silence_id: int, by: str, comment: str | None, output_json: Path | None) -> None:
    """End a silence now; one that has not begun never will.

    \b
    Examples:
      stacklens silences end 7
      stacklens silences end 7 --comment "the move is done"
    """
    with _database() as cur:
        try:
            ended = end_silence(cur, silence_id, Hand(by, comment))
        except (NoSuchSilence, SilenceOver) as error:
            raise CommandFailed(f"{error}: see `stacklens silences list --state all`") from None
    click.echo(f"silence {silence_id} is over")
    if output_json is not None:
        write_json(output_json, _plain(ended))


@contextlib.contextmanager
def _database() -> Iterator[cursor]:
    """A cursor in one transaction, committed at the end of the block."""
    conn = parameters(load_settings(), application_name="stacklens silences").connect()
    with contextlib.closing(conn), conn, conn.cursor() as cur:
        yield cur


def _read(
    option: str, parse: Callable[[str, datetime], datetime], text: str, now: datetime
) -> datetime:
    try:
        return parse(text, now)
    except ValueError as error:
        raise click.UsageError(f"{option}: {text!r} {error}") from None


def _after(text: str, begin: datetime) -> datetime:
    duration: timedelta = parse_duration(text)
    try:
        return begin + duration
    except OverflowError:
        raise ValueError("is too long") from None


def _line(silence: StoredSilence) -> tuple[str, ...]:
    matched = " ".join(f"{name}={value}" for name, value in silence.matcher.items())
    return (
        str(silence.id), silence.state, printable(matched), silence.starts_at.isoformat(timespec="seconds"),
        silence.ends_at.isoformat(timespec="seconds"), printable(silence.author), printable(silence.comment)[:80],
    )  # fmt: skip


def _plain(silence: StoredSilence) -> dict[str, Any]:
    return {
        **silence.as_fields(),
        "created_at": silence.created_at.isoformat(),
        "state": silence.state,
    }
