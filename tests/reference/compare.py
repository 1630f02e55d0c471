"""A database beside what it must hold: plain SQL, differences told in words."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from tests.reference.brute_force import CellKey, Expected, Figures, Place
from tests.reference.fields import Event
from tests.reference.sketches import distinct

TABLES = {
    "1min": "analytics_metrics_1min",
    "5min": "analytics_metrics_5min",
    "1hour": "analytics_metrics_1hour",
}
EXACT_RELATIVE = 1e-9  # sums and means
PERCENTILE_RELATIVE = 0.01
EXACT_UNIQUES = 200  # up to here the count of distinct values is exact
UNIQUES_RELATIVE = 0.08  # four standard errors of 2 % above
MOST_SHOWN = 40

Row = Mapping[str, Any]


def compare(connection: Connection, expected: Expected, *, raw_rows: bool = True) -> list[str]:
    """Every difference between the tables and `expected`; an empty list is what a test wants.

    The database must hold one incarnation of one topic and nothing else. `raw_rows=False` leaves
    out the fields of single events and dead letters, not their number.
    """
    found = [*_compare_dead_letters(connection, expected)]
    if raw_rows:
        found += _compare_events(connection, expected)
    else:
        found += _compare_number_of_events(connection, expected)
    for name, table in TABLES.items():
        found += compare_windows(connection, table, expected.figures(name))
    return _shortened(found)


def compare_windows(
    connection: Connection, table: str, windows: Mapping[CellKey, Figures]
) -> Iterator[str]:
    """Differences of one metrics table, window by window."""
    rows: dict[CellKey, Row] = {}
    for row in _select(connection, sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))):
        key = (row["service"], int(row["timestamp"].timestamp()))
        if key in rows:
            yield f"{table}: two rows for {_cell(key)}"
        rows[key] = row
    for key in windows.keys() - rows.keys():
        yield f"{table}: no row for {_cell(key)}, {windows[key].total} events wanted"
    for key in rows.keys() - windows.keys():
        yield f"{table}: a row too many for {_cell(key)}: {rows[key]['total_requests']} events"
    for key in sorted(windows.keys() & rows.keys()):
        for problem in window_problems(rows[key], windows[key]):
            yield f"{table} {_cell(key)}: {problem}"
        for problem in sketch_problems(rows[key], windows[key]):
            yield f"{table} {_cell(key)}: {problem}"


def window_problems(row: Row, wanted: Figures) -> Iterator[str]:
    """Where one row leaves the tolerances of the contract (section 3)."""
    counts = {
        "total_requests": wanted.total,
        "failed_requests": wanted.failed,
        "successful_requests": wanted.total - wanted.failed,
        "high_risk_count": wanted.high_risk,
    }
    for name, count in counts.items():
        if row[name] != count:
            yield f"{name} {row[name]}, {count} wanted"
    figures: dict[str, tuple[float | None, float]] = {
        "error_rate": (100 * wanted.failed / wanted.total, EXACT_RELATIVE),
        "latency_min_ms": (wanted.latency_min, 0.0),
        "latency_max_ms": (wanted.latency_max, 0.0),
        "latency_mean_ms": (wanted.latency_mean, EXACT_RELATIVE),
        "avg_risk_score": (wanted.risk_mean, EXACT_RELATIVE),
        "latency_p50_ms": (wanted.latency_p50, PERCENTILE_RELATIVE),
        "latency_p95_ms": (wanted.latency_p95, PERCENTILE_RELATIVE),
        "latency_p99_ms": (wanted.latency_p99, PERCENTILE_RELATIVE),
    }
    for name, (figure, relative) in figures.items():
        if not _close(row[name], figure, relative):
            yield f"{name} {row[name]}, {figure} wanted (to {relative:g})"
    for name, there in (("unique_users", wanted.users), ("unique_ips", wanted.ips)):
        if not _uniques_close(row[name], there):
            yield f"{name} {row[name]}, {there} wanted"


def sketch_problems(row: Row, wanted: Figures) -> Iterator[str]:
    """Where what a row's sketches count together is not what they should."""
    for name, there in (("users", wanted.users), ("ips", wanted.ips)):
        counted = distinct(row[f"{name}_sketch"], row[f"{name}_recent"])
        if not _uniques_close(counted, there):
            yield f"{name}_sketch and _recent count {counted}, {there} wanted"


def _compare_events(connection: Connection, expected: Expected) -> Iterator[str]:
    seen: set[Place] = set()
    for row in _select(connection, "SELECT * FROM analytics_events"):
        place = (row["kafka_partition"], row["kafka_offset"])
        if place in seen:
            yield f"analytics_events: {_place(place)} is there twice"
        seen.add(place)
        event = expected.events.get(place)
        if event is None:
            yield f"analytics_events: {_place(place)} should not be there"
            continue
        for name, wanted in _columns(event).items():
            if _plain(name, row[name]) != wanted:
                yield f"analytics_events {_place(place)}: {name} {row[name]!r}, {wanted!r} wanted"
    for place in sorted(expected.events.keys() - seen):
        yield f"analytics_events: {_place(place)} is missing"


def _compare_number_of_events(connection: Connection, expected: Expected) -> Iterator[str]:
    query = """SELECT count(*) AS rows, count(DISTINCT (kafka_partition, kafka_offset)) AS places
               FROM analytics_events"""
    for row in _select(connection, query):
        wanted = len(expected.events)
        if (row["rows"], row["places"]) != (wanted, wanted):
            yield f"analytics_events: {row['rows']} rows of {row['places']} events, {wanted} wanted"


def _compare_dead_letters(connection: Connection, expected: Expected) -> Iterator[str]:
    seen: set[Place] = set()
    for row in _select(connection, "SELECT * FROM analytics_dead_letters"):
        place = (row["kafka_partition"], row["kafka_offset"])
        if place in seen:
            yield f"analytics_dead_letters: {_place(place)} is there twice"
        seen.add(place)
        wanted = expected.rejected.get(place)
        if row["reason"] != wanted:
            value = (expected.values.get(place) or b"")[:80]
            yield f"dead letter {_place(place)}: {row['reason']}, {wanted} wanted: {value!r}"
        raw = None if row["raw_value"] is None else bytes(row["raw_value"])
        if raw != expected.values.get(place):
            yield f"dead letter {_place(place)}: its bytes are not those of the message"
    for place in sorted(expected.rejected.keys() - seen):
        reason = expected.rejected[place]
        yield f"analytics_dead_letters: {_place(place)} is missing ({reason})"


def _columns(event: Event) -> dict[str, object]:
    names = [name for name in Event.__dataclass_fields__ if name != "timestamp_us"]
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=event.timestamp_us)
    return {"timestamp": at, **{name: getattr(event, name) for name in names}}


def _plain(name: str, value: object) -> object:
    if name == "source_ip" and isinstance(value, str):
        return ipaddress.ip_address(value.partition("/")[0]).packed
    return value


def _select(connection: Connection, query: str | sql.Composed) -> Iterator[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description or ()]
        while rows := cursor.fetchmany(10_000):
            for row in rows:
                yield dict(zip(names, row, strict=True))


def _close(given: float | None, wanted: float | None, relative: float) -> bool:
    if given is None or wanted is None:
        return given is wanted
    return math.isclose(given, wanted, rel_tol=relative, abs_tol=1e-12 if relative else 0.0)


def _uniques_close(given: int, wanted: int) -> bool:
    allowed = 0 if wanted <= EXACT_UNIQUES else wanted * UNIQUES_RELATIVE
    return abs(given - wanted) <= allowed


def _cell(key: CellKey) -> str:
    return f"{key[0]!r} at {datetime.fromtimestamp(key[1], UTC):%Y-%m-%dT%H:%M:%SZ}"


def _place(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _shortened(found: list[str]) -> list[str]:
    if len(found) <= MOST_SHOWN:
        return found
    return [*found[:MOST_SHOWN], f"... and {len(found) - MOST_SHOWN} more"]
