"""One batch of a recalculation: the rows of a few services in one window, built anew while flushes go on.

Why the result is exact is written in docs/decisions, "Recalculation": lock the row, then read what it is made of in a
statement of its own, then replace the row, or roll back if one appeared meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from psycopg2 import sql
from psycopg2.extensions import connection, cursor

from analytics_service.adapters.timescale.daily import invalidate_days
from analytics_service.adapters.timescale.retention import HOT, latest, lock_kept_since
from analytics_service.adapters.timescale.window_rows import (
    Row,
    delete_rows,
    lock_rows,
    prepare_stage,
    read_states,
    write_rows,
)
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.recalculation import RangeRefused, Step, grouped
from analytics_service.domain.times import from_epoch_s

# What one transaction may hold. Measured on a busy machine: 20,000 raw events take 0.4 s, for which a flush may wait.
SERVICES_AT_ONCE = 200
EVENTS_AT_ONCE = 20_000
_FETCHED_AT_ONCE = 10_000
# As a flush's, so that a process frozen in its transaction holds up nobody for long; but what is written survives.
_SESSION = """
    SET idle_in_transaction_session_timeout = '5s'; SET statement_timeout = '30s'; SET lock_timeout = '5s';
    SET TimeZone = 'UTC'; SET enable_hashjoin = off; SET enable_mergejoin = off
"""
_cursor_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Batch:
    """The window of `step` that starts at `start_s`, of some services; `is_coarsest`: days are merged from its rows."""

    step: Step
    start_s: int
    services: Sequence[str]
    is_coarsest: bool

    @property
    def end_s(self) -> int:
        """The end of the window."""
        return self.start_s + self.step.window.seconds


def prepare_recalculation(conn: connection) -> None:
    """Settings and staging table of a connection that is used for recalculation only. Commits."""
    with conn.cursor() as cur:
        cur.execute(_SESSION)
        prepare_stage(cur)
    conn.commit()


def next_window(
    conn: connection, step: Step, since_s: int, until_s: int, service: str | None
) -> int | None:
    """Start of the first window in the range that has a row, or something to make one of. Ends its transaction."""
    found = [
        moment
        for table in (_source_table(step), step.window.table)
        if (moment := _first_moment(conn, table, (since_s, until_s), service)) is not None
    ]
    conn.rollback()
    return step.window.start_of(min(found)) if found else None


def services_of(conn: connection, step: Step, start_s: int, service: str | None) -> list[list[str]]:
    """The services that the window has a row or a source of, in groups for one batch each. Ends its transaction."""
    span = start_s, start_s + step.window.seconds
    sizes = dict.fromkeys(_services(conn, step.window.table, span, service), 0)
    for name, rows in _services(conn, _source_table(step), span, service).items():
        sizes[name] = rows if step.source is None else 0
    conn.rollback()
    return grouped(sizes, SERVICES_AT_ONCE, EVENTS_AT_ONCE)


def rebuild(
    conn: connection, batch: Batch, high_risk_threshold: float, note: Callable[[cursor, int], None]
) -> int:
    """Build the rows of `batch` anew in one transaction; returns how many were written or deleted.

    `note` is called with the cursor and that number before the commit. Raises ConcurrentInsert (try again),
    RangeRefused when the window's source has been archived meanwhile, psycopg2 errors, and what `note` raises; it is
    all rolled back then.
    """
    try:
        with conn.cursor() as cur:
            _check_limits(cur, batch)
            rows = _replace(cur, batch, high_risk_threshold)
            note(cur, rows)
        conn.commit()
    except BaseException:
        if not conn.closed:
            conn.rollback()
        raise
    return rows


def _check_limits(cur: cursor, batch: Batch) -> None:
    source = HOT if batch.step.source is None else batch.step.source.tier
    whole_from = latest(lock_kept_since(cur), {source, batch.step.window.tier})
    if whole_from is not None and batch.start_s < whole_from:
        raise RangeRefused(
            f"what is before {from_epoch_s(whole_from).isoformat()} was archived before window "
            f"{batch.step.window.name} at {from_epoch_s(batch.start_s).isoformat()} could be built anew"
        )


def _replace(cur: cursor, batch: Batch, high_risk_threshold: float) -> int:
    window = batch.step.window
    keys: list[Cell] = [(service, batch.start_s) for service in batch.services]
    held = lock_rows(cur, window, keys)
    # Only now: the snapshot of these statements sees everything that was committed while we waited for the rows.
    if batch.step.source is None:
        wanted = _fold_raw(cur.connection, batch, high_risk_threshold)
    else:
        wanted = _merge(read_states(cur, batch.step.source, keys, window.seconds))
    written = [
        Row(key, wanted[key], held[key].revision if key in held else 0)
        for key in keys
        if key in wanted
    ]
    if written:
        write_rows(cur, window, written)
    gone = [key for key in held if key not in wanted]
    delete_rows(cur, window, gone)
    if batch.is_coarsest:
        invalidate_days(cur, [*wanted, *gone], math.inf)
    return len(written) + len(gone)


def _fold_raw(conn: connection, batch: Batch, high_risk_threshold: float) -> dict[Cell, Delta]:
    """The deltas of the window's raw events."""
    wanted: dict[Cell, Delta] = {}
    # A cursor on the server: the events of a minute need not fit into memory at once.
    with conn.cursor(name=f"raw_{next(_cursor_numbers)}") as cur:
        cur.itersize = _FETCHED_AT_ONCE
        cur.execute(
            """
            SELECT service, level, latency_ms, risk_score, user_id, host(source_ip) FROM analytics_events
            WHERE timestamp >= to_timestamp(%s) AND timestamp < to_timestamp(%s) AND service = ANY(%s)
            """,
            (batch.start_s, batch.end_s, list(batch.services)),
        )
        while rows := cur.fetchmany(_FETCHED_AT_ONCE):
            # Where in the window an event lies is of no matter: all are told to lie at its start.
            events = [
                Event(batch.start_s * 1_000_000, service, level, latency, risk, user, source_ip=ip)
                for service, level, latency, risk, user, ip in rows
            ]
            _add(wanted, fold_events(events, high_risk_threshold).items())
    return wanted


def _merge(rows: Iterable[tuple[Cell, Delta]]) -> dict[Cell, Delta]:
    wanted: dict[Cell, Delta] = {}
    _add(wanted, rows)
    return wanted


def _add(into: dict[Cell, Delta], more: Iterable[tuple[Cell, Delta]]) -> None:
    for key, delta in more:
        if key in into:
            into[key].merge_from(delta)
        else:
            into[key] = delta


def _source_table(step: Step) -> str:
    return "analytics_events" if step.source is None else step.source.table


def _first_moment(
    conn: connection, table: str, span: tuple[int, int], service: str | None
) -> int | None:
    with conn.cursor() as cur:
        cur.execute(
            sql.SQL(
                """
                SELECT floor(extract(epoch FROM timestamp))::bigint FROM {}
                WHERE timestamp >= to_timestamp(%(since)s) AND timestamp < to_timestamp(%(until)s)
                    AND (%(service)s IS NULL OR service = %(service)s)
                ORDER BY timestamp LIMIT 1
                """
            ).format(sql.Identifier(table)),
            {"since": span[0], "until": span[1], "service": service},
        )
        row = cur.fetchone()
    return None if row is None else int(row[0])


def _services(
    conn: connection, table: str, span: tuple[int, int], service: str | None
) -> dict[str, int]:
    with conn.cursor() as cur:
        cur.execute(
            sql.SQL(
                """
                SELECT service, count(*) FROM {}
                WHERE timestamp >= to_timestamp(%(since)s) AND timestamp < to_timestamp(%(until)s)
                    AND (%(service)s IS NULL OR service = %(service)s)
                GROUP BY service
                """
            ).format(sql.Identifier(table)),
            {"since": span[0], "until": span[1], "service": service},
        )
        return dict(cur.fetchall())
