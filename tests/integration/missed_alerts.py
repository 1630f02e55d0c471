"""Incidents in stored windows that no evaluator has seen, what must be found of them, and the command that finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extras import execute_values

from tests.databases import Database

TOPIC = "stacklens-analytics"
HOURS = 6
GOOD, BAD = 1.0, 50.0
ALERTS = """
    SELECT rule_name, service, status, extract(epoch FROM pending_since)::bigint,
        extract(epoch FROM active_since)::bigint, extract(epoch FROM resolved_at)::bigint
    FROM analytics_alerts ORDER BY rule_name, service, pending_since
"""
JOB = "SELECT status, step, steps_done, steps_total, rows_written, last_error FROM recalculation_queue WHERE id = %s"
Moments = tuple[int, int, int]
Recalculate = Callable[..., tuple[int, str]]
"""`stacklens recalculate` with these arguments: exit status and what it printed, on one line."""


def range_begin_s() -> int:
    """The start of a range of whole hours that is over."""
    return int(datetime.now(UTC).timestamp()) // 3600 * 3600 - HOURS * 3600


def everything_is_stored(database: Database) -> None:
    """All that was produced is stored, as a worker would have told."""
    database.execute(
        "INSERT INTO topic_incarnations (topic, topic_incarnation, topic_id) VALUES (%s, 1, 'id')",
        TOPIC,
    )
    database.execute(
        "INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset, caught_up_at)"
        " VALUES (%s, 1, 0, 0, now())",
        TOPIC,
    )


def enqueue(call: Recalculate, begin_s: int, hours: float = HOURS, *more: str) -> None:
    """Ask for the alerts of so many hours."""
    begin, end = (datetime.fromtimestamp(at_s, UTC) for at_s in (begin_s, begin_s + 3600 * hours))
    span = ("--from", begin.isoformat(), "--to", end.isoformat())
    status, output = call("enqueue", "--job-type", "RECALC_ALERTS", *span, *more)
    assert status == 0, output


def add_rule(database: Database, name: str, **changes: Any) -> None:
    """Error rate above 5 percent for a minute, and over after two; all services, 1min windows."""
    fields = {
        "rule_name": name,
        "metric_name": "error_rate",
        "operator": ">",
        "threshold": 5.0,
        "severity": "critical",
        "duration_seconds": 60,
        "keep_firing_seconds": 120,
        "notification_channels": ["slack", "email", "pagerduty"],
        **changes,
    }
    statement = sql.SQL("INSERT INTO analytics_alert_rules ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, fields)),
        sql.SQL(", ").join([sql.Placeholder()] * len(fields)),
    )
    database.execute(statement, *fields.values())


def add_windows(
    database: Database, service: str, rates: Mapping[int, float], size: str = "1min"
) -> None:
    """Windows with this error rate, by their start."""
    insert = sql.SQL(
        "INSERT INTO {} (timestamp, service, total_requests, error_rate) VALUES %s"
    ).format(sql.Identifier(f"analytics_metrics_{size}"))
    rows = [
        (datetime.fromtimestamp(start, UTC), service, 100, rate) for start, rate in rates.items()
    ]
    with database.cursor() as cursor:
        execute_values(cursor, insert, rows)


def minutes(begin_s: int, *bad: range, count: int = HOURS * 60) -> dict[int, float]:
    """A window for each minute, bad in some."""
    return {
        begin_s + 60 * number: BAD if any(number in each for each in bad) else GOOD
        for number in range(count)
    }


def brute_force(
    rates: Mapping[int, float],
    span: tuple[int, int],
    duration_s: int,
    keep_s: int,
    limit: float = 5.0,
) -> list[Moments]:
    """When an alert begins, fires and ends, each tenth second looked at; windows without gaps that matter."""
    found: list[Moments] = []
    bad_since = fired_at = good_since = None
    for now in range(span[0], span[1] + 1, 10):
        rate = rates.get(now // 60 * 60 - 60) if now >= span[0] + 60 else None
        if rate is None:
            continue
        is_bad = rate > limit
        if fired_at is None:
            bad_since = (now if bad_since is None else bad_since) if is_bad else None
            if bad_since is not None and now - bad_since >= duration_s:
                fired_at, good_since = now, None
        elif is_bad:
            good_since = None
        else:
            good_since = now if good_since is None else good_since
            if now - good_since >= keep_s:
                assert bad_since is not None
                found.append((bad_since, fired_at, now))
                bad_since = fired_at = good_since = None
    return found  # fmt: skip


def incident_of(database: Database, services: str, begin_s: int) -> None:
    """Each of the services has one alert that was missed."""
    add_rule(database, "errors")
    for service in services:
        add_windows(database, service, minutes(begin_s, range(20, 30)))
