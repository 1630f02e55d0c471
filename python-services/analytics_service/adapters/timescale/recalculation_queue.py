"""The queue of recalculations: asked for, claimed by one process at a time, gone on with after a crash.

A claim is a lease: each batch renews it in its own transaction, and a batch that finds it lost is rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection, cursor

from analytics_service.adapters.timescale.alert_rules import enabled_rules
from analytics_service.adapters.timescale.recalculated_alerts import looked_at, whole_since
from analytics_service.adapters.timescale.retention import HOT, kept_since, latest
from analytics_service.domain.recalculation import RangeRefused, Span, plan_recalculation
from analytics_service.domain.times import epoch_us, from_epoch_s
from analytics_service.domain.windows import WINDOWS, Window

RECALC_WINDOWS = "RECALC_WINDOWS"
RECALC_ALERTS = "RECALC_ALERTS"
REFRESH_VIEWS = "REFRESH_VIEWS"
JOB_TYPES = (RECALC_WINDOWS, RECALC_ALERTS, REFRESH_VIEWS)
# Longer than any batch, and than any statement in between, may take.
CLAIM_S = 60
_MICROSECONDS = 1_000_000
_COLUMNS = (
    "id, job_type, service, from_time, to_time, reason, requested_by, status, step, position, steps_done, steps_total,"
    " rows_written, attempts, last_error, claimed_by, claimed_until, created_at, started_at, finished_at"
)


class ClaimLost(Exception):
    """Another process has taken the job over: stop, and write nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the queue, as far as doing it needs it; times in epoch seconds."""

    id: int
    job_type: str
    service: str | None
    from_s: int | None
    to_s: int | None
    step: str | None
    position_s: int | None


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a batch has brought its job."""

    step: str
    position_s: int | None
    done: int
    total: int | None
    rows: int


def enqueue_windows(
    conn: connection,
    span: tuple[datetime, datetime],
    windows: Sequence[Window],
    *,
    service: str | None = None,
    reason: str | None = None,
) -> int:
    """Ask for the `windows` of [from, to) of one service or all to be built anew; the job's number. Does not commit.

    The range is rounded outwards to whole hours. Raises RangeRefused when it is empty or begins where raw events are
    not whole any more, and psycopg2 errors.
    """
    hours = _whole_hours(span)
    with conn.cursor() as cur:
        whole_from = latest(kept_since(cur), {HOT, *(window.tier for window in windows)})
        _check_begin(hours, whole_from, "raw events are")
        return _insert(cur, (RECALC_WINDOWS, service, *map(from_epoch_s, hours), reason))


def enqueue_alerts(
    conn: connection,
    span: tuple[datetime, datetime],
    windows: Sequence[Window],
    *,
    service: str | None = None,
    reason: str | None = None,
) -> int:
    """Ask for the alerts of [from, to) to be found in the stored `windows`; the job's number. Does not commit.

    The range is rounded outwards to whole hours. Raises RangeRefused when it is empty or begins where the windows that
    the enabled rules look at are not whole any more, and psycopg2 errors.
    """
    hours = _whole_hours(span)
    with conn.cursor() as cur:
        whole_from = whole_since(kept_since(cur), looked_at(enabled_rules(cur), windows))
        _check_begin(hours, whole_from, "the windows that the rules look at, and alerts, are")
        return _insert(cur, (RECALC_ALERTS, service, *map(from_epoch_s, hours), reason))


def enqueue_refresh(conn: connection, *, reason: str | None = None) -> int:
    """Ask for the daily level to be brought up to date; the job's number. Does not commit."""
    with conn.cursor() as cur:
        return _insert(cur, (REFRESH_VIEWS, None, None, None, reason))


def claim(conn: connection, holder: str, job_id: int | None = None) -> Job | None:
    """The oldest job that nobody works on (or `job_id`), claimed for `holder`; None when there is none. Commits."""
    with conn.cursor() as cur:
        cur.execute(
            """
            UPDATE recalculation_queue SET
                status = 'RUNNING', claimed_by = %(holder)s, attempts = attempts + 1,
                claimed_until = clock_timestamp() + make_interval(secs => %(lease)s),
                started_at = coalesce(started_at, clock_timestamp())
            WHERE id = (
                SELECT id FROM recalculation_queue
                WHERE (status = 'PENDING' OR (status = 'RUNNING' AND claimed_until < clock_timestamp()))
                    AND (%(id)s IS NULL OR id = %(id)s)
                ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
            )
            RETURNING id, job_type, service, extract(epoch FROM from_time)::bigint,
                extract(epoch FROM to_time)::bigint, step, extract(epoch FROM position)::bigint
            """,
            {"holder": holder, "lease": CLAIM_S, "id": job_id},
        )
        row = cur.fetchone()
    conn.commit()
    return None if row is None else Job(*row)


def renew(cur: cursor, job: Job, holder: str, advance: Advance) -> None:
    """Renew the claim and note how far the job has come with this transaction. Raises ClaimLost. Does not commit."""
    cur.execute(
        """
        UPDATE recalculation_queue SET
            claimed_until = clock_timestamp() + make_interval(secs => %s), step = %s,
            position = to_timestamp(%s), steps_done = %s, steps_total = %s, rows_written = rows_written + %s
        WHERE id = %s AND claimed_by = %s AND status = 'RUNNING'
        """,
        (
            CLAIM_S,
            advance.step,
            advance.position_s,
            advance.done,
            advance.total,
            advance.rows,
            job.id,
            holder,
        ),
    )
    if cur.rowcount != 1:
        raise ClaimLost(f"job {job.id} was taken over by another process")


def release(conn: connection, job: Job, holder: str) -> None:
    """Let another process go on with the job at once. Commits."""
    with conn.cursor() as cur:
        cur.execute(
            "UPDATE recalculation_queue SET claimed_until = clock_timestamp() "
            "WHERE id = %s AND claimed_by = %s AND status = 'RUNNING'",
            (job.id, holder),
        )
    conn.commit()


def finish(conn: connection, job: Job, holder: str, error: str | None = None) -> None:
    """The job is COMPLETED, or with `error` FAILED. Raises ClaimLost. Commits."""
    with conn.cursor() as cur:
        cur.execute(
            """
            UPDATE recalculation_queue SET
                status = %s, last_error = %s, finished_at = clock_timestamp(), claimed_until = NULL
            WHERE id = %s AND claimed_by = %s AND status = 'RUNNING'
            """,
            ("COMPLETED" if error is None else "FAILED", error, job.id, holder),
        )
        if cur.rowcount != 1:
            raise ClaimLost(f"job {job.id} was taken over by another process")
    conn.commit()


def jobs(conn: connection, job_id: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """The newest jobs (or the one), newest first, with the columns of the table."""
    with conn.cursor() as cur:
        cur.execute(
            f"SELECT {_COLUMNS} FROM recalculation_queue "  # noqa: S608  # fixed text
            "WHERE %(id)s IS NULL OR id = %(id)s ORDER BY id DESC LIMIT %(limit)s",
            {"id": job_id, "limit": limit},
        )
        names = [column.name for column in cur.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cur.fetchall()]


def is_open(conn: connection, job_id: int | None = None) -> bool:
    """Whether any job (or the one) is neither completed nor failed. Ends its transaction."""
    with conn.cursor() as cur:
        cur.execute(
            """
            SELECT EXISTS (
                SELECT 1 FROM recalculation_queue
                WHERE status IN ('PENDING', 'RUNNING') AND (%(id)s IS NULL OR id = %(id)s)
            )
            """,
            {"id": job_id},
        )
        (found,) = cur.fetchone() or (False,)
    conn.rollback()
    return bool(found)


def _whole_hours(span: tuple[datetime, datetime]) -> Span:
    since, until = span
    if not since < until:
        raise RangeRefused(
            f"the range is empty: {since.isoformat()} is not before {until.isoformat()}"
        )
    plan = plan_recalculation(
        epoch_us(since) // _MICROSECONDS, -(-epoch_us(until) // _MICROSECONDS), WINDOWS
    )
    return plan.start_s, plan.end_s


def _check_begin(hours: Span, whole_from: int | None, what: str) -> None:
    if whole_from is not None and hours[0] < whole_from:
        first = plan_recalculation(whole_from, whole_from, WINDOWS).end_s
        raise RangeRefused(
            f"{what} whole from {from_epoch_s(whole_from).isoformat()} on, and the range begins at "
            f"{from_epoch_s(hours[0]).isoformat()}: it may begin at {from_epoch_s(first).isoformat()}"
        )


def _insert(cur: cursor, values: Sequence[object]) -> int:
    cur.execute(
        """
        INSERT INTO recalculation_queue (job_type, service, from_time, to_time, reason)
        VALUES (%s, %s, %s, %s, %s) RETURNING id
        """,
        values,
    )
    row = cur.fetchone()
    assert row is not None
    return int(row[0])
