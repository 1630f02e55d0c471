"""Computing stored rows anew: asking for it, and how far it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dashboard_api.schemas.base import Answer, NextCursor
from dashboard_api.schemas.dead_letters import ShortText
from dashboard_api.schemas.texts import Comment, Moment

JobType = Literal["RECALC_WINDOWS", "RECALC_ALERTS", "REFRESH_VIEWS"]


class RecalculationBody(Answer, kw_only=True):
    """What is to be computed anew; `from` and `to` are rounded outwards to whole hours."""

    job_type: Annotated[
        JobType,
        Meta(
            description="RECALC_WINDOWS: windows of a range; RECALC_ALERTS: alerts of a range that were missed; "
            "REFRESH_VIEWS: the daily level."
        ),
    ]
    service: ShortText | None = None
    from_: Moment | None = msgspec.field(name="from", default=None)
    to: Moment | None = None
    reason: Comment | None = None


class Job(Answer):
    """A recalculation that was asked for."""

    id: int
    job_type: JobType
    service: Annotated[str | None, Meta(description="Null: every service.")]
    from_time: datetime | None
    to_time: datetime | None
    reason: str | None
    requested_by: str
    status: Literal["PENDING", "RUNNING", "COMPLETED", "FAILED"]
    steps_done: Annotated[
        int, Meta(description="Of RECALC_WINDOWS windows, of RECALC_ALERTS services.")
    ]
    steps_total: Annotated[int | None, Meta(description="Null until it is known.")]
    rows_written: Annotated[
        int, Meta(description="Rows written anew; of RECALC_ALERTS alerts recorded.")
    ]
    attempts: int
    last_error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobList(Answer):
    """Recalculations, newest first."""

    jobs: list[Job]
    count: int
    next_cursor: NextCursor
