"""`/metrics`: rows of one window size, newest first, page by page."""

from __future__ import annotations

from flask import Blueprint, Response, request

from analytics_service.domain.times import epoch_us
from dashboard_api.context import context
from dashboard_api.parameters import Cursor, Parameters
from dashboard_api.queries.rows import RowFilter, newest_rows
from dashboard_api.responses import json_answer

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 5000

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """`{window, metrics, count, next_cursor}`; without `from` as far back as there is anything."""
    shared = context()
    query = Parameters(request.args, shared.now())
    window = query.window()
    wanted = RowFilter(
        window=window,
        services=query.services(),
        since=query.moment("from"),
        until=query.moment("to"),
        after=query.cursor(window),
    )
    limit = query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        query.refuse("from", "must be before `to`")
    query.check()
    rows = newest_rows(shared.reader, wanted, limit + 1)
    page = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        last = page[-1]
        next_cursor = Cursor(window.name, epoch_us(last["timestamp"]), last["service"]).encode()
    return json_answer(
        {"window": window.name, "metrics": page, "count": len(page), "next_cursor": next_cursor}
    )
