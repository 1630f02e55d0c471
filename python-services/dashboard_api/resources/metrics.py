"""`/metrics`: rows of one window size, newest first, page by page."""

from __future__ import annotations

from flask import Blueprint, Response

from analytics_service.domain.times import epoch_us
from dashboard_api.context import context
from dashboard_api.cursors import Cursor
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.queries.rows import RowFilter, newest_rows
from dashboard_api.reading import read_query
from dashboard_api.responses import list_answer
from dashboard_api.schemas.metrics import MetricsPage, WindowRow

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 5000

blueprint = Blueprint("metrics", __name__)


def _read(query: Parameters) -> tuple[RowFilter, int]:
    window = query.window()
    wanted = RowFilter(
        window=window,
        services=query.services(),
        since=query.moment(
            "from", doc="Start, inclusive; default: as far back as there is anything."
        ),
        until=query.moment("to", doc="End, exclusive; default: there is none."),
        after=query.cursor(window),
    )
    limit = query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many rows.")
    query.format()
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        query.refuse("from", "must be before `to`")
    return wanted, limit


@blueprint.get("/metrics")
@operation("Stored windows, newest first", answer=MetricsPage, reads=_read)
def metrics() -> Response:
    """Rows of one window size as they are stored, page by page; without `from` there is no lower bound."""
    wanted, limit = read_query(_read)
    rows = newest_rows(context().reader, wanted, limit + 1)
    page = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        last = page[-1]
        next_cursor = Cursor(wanted.window.name, epoch_us(last.timestamp), last.service).encode()
    answer = MetricsPage(wanted.window.name, page, len(page), next_cursor)
    return list_answer(answer, "metrics", WindowRow, first="timestamp")
