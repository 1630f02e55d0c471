"""`/performance-trend`: services hour by hour over some days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, Response

from analytics_service.domain.times import EPOCH, epoch_us
from analytics_service.domain.windows import Window
from dashboard_api.context import context
from dashboard_api.cursors import Cursor
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.queries.rows import RowFilter, newest_rows
from dashboard_api.reading import read_query
from dashboard_api.responses import list_answer
from dashboard_api.schemas.metrics import WindowRow
from dashboard_api.schemas.services import TrendAnswer, TrendRow

DEFAULT_DAYS = 7
MOST_DAYS = 366
DEFAULT_LIMIT = 500
LARGEST_LIMIT = 10_000

blueprint = Blueprint("trend", __name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for."""

    services: list[str] | None
    days: int
    limit: int
    after: Cursor | None


def _read(query: Parameters) -> Wanted:
    wanted = Wanted(
        services=query.services(),
        days=query.integer("days", DEFAULT_DAYS, 1, MOST_DAYS, "So many days back from now."),
        limit=query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many rows."),
        after=query.cursor(context().windows[-1]),
    )
    query.format()
    return wanted


@blueprint.get("/performance-trend")
@operation("Services hour by hour", answer=TrendAnswer, reads=_read)
def performance_trend() -> Response:
    """The stored hours of the last days, newest first, page by page; 168 rows a service and week.

    Where no hours are kept (AGGREGATION_WINDOWS) it is the longest windows that are.
    """
    wanted = read_query(_read)
    shared = context()
    now = shared.now()
    window = shared.windows[-1]
    # The first hour whole, not from the middle on.
    since = _start_of(now - timedelta(days=wanted.days), window)
    chosen = RowFilter(window, wanted.services, since, None, wanted.after)
    rows = newest_rows(shared.reader, chosen, wanted.limit + 1)
    page = rows[: wanted.limit]
    next_cursor = None
    if len(rows) > wanted.limit:
        last = page[-1]
        next_cursor = Cursor(window.name, epoch_us(last.timestamp), last.service).encode()
    answer = TrendAnswer(
        wanted.days, window.name, [_row(row, window, now) for row in page], len(page), next_cursor
    )
    return list_answer(answer, "trend", TrendRow)


def _start_of(moment: datetime, window: Window) -> datetime:
    return moment - (moment - EPOCH) % timedelta(seconds=window.seconds)


def _row(row: WindowRow, window: Window, now: datetime) -> TrendRow:
    over_s = min((now - row.timestamp).total_seconds(), window.seconds)
    return TrendRow(
        timestamp=row.timestamp,
        service=row.service,
        total_requests=row.total_requests,
        failed_requests=row.failed_requests,
        error_rate=row.error_rate,
        latency_p50_ms=row.latency_p50_ms,
        latency_p95_ms=row.latency_p95_ms,
        latency_p99_ms=row.latency_p99_ms,
        latency_mean_ms=row.latency_mean_ms,
        requests_per_second=row.total_requests / max(over_s, 1.0),
    )
