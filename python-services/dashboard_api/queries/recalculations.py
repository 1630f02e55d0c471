"""The queue of recalculations: what is in it, and one more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale import recalculation_queue as queue
from analytics_service.domain.windows import Window
from dashboard_api.queries.columns import names
from dashboard_api.schemas.recalculations import Job

_JOBS = sql.SQL(
    """
    SELECT {columns} FROM recalculation_queue
    WHERE (%(id)s IS NULL OR id = %(id)s) AND (%(before)s IS NULL OR id < %(before)s)
        AND (%(status)s IS NULL OR status = %(status)s)
    ORDER BY id DESC LIMIT %(limit)s
    """
).format(columns=names(Job.__struct_fields__))


def find_jobs(
    cursor: Cursor,
    limit: int,
    *,
    job_id: int | None = None,
    before: int | None = None,
    status: str | None = None,
) -> list[Job]:
    """At most `limit` jobs, newest first."""
    cursor.execute(_JOBS, {"id": job_id, "before": before, "status": status, "limit": limit})
    return [Job(*row) for row in cursor.fetchall()]


def enqueue(
    cursor: Cursor,
    job_type: str,
    span: tuple[datetime, datetime] | None,
    windows: Sequence[Window],
    *,
    service: str | None,
    reason: str | None,
    requested_by: str,
) -> Job:
    """Ask for the windows or alerts of a range, or without one for the daily level. For a writing transaction.

    Raises RangeRefused when the range is empty or begins where what the job reads is not whole any more.
    """
    if span is None:
        job_id = queue.enqueue_refresh(cursor.connection, reason=reason)
    else:
        is_alerts = job_type == queue.RECALC_ALERTS
        ask = queue.enqueue_alerts if is_alerts else queue.enqueue_windows
        job_id = ask(cursor.connection, span, windows, service=service, reason=reason)
    cursor.execute(
        "UPDATE recalculation_queue SET requested_by = %s WHERE id = %s", (requested_by, job_id)
    )
    return find_jobs(cursor, 1, job_id=job_id)[0]
