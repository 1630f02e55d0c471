"""`/metrics/summary`: one merged row per service over any range of time."""

from __future__ import annotations

from flask import Blueprint, Response, request

from analytics_service.domain.times import from_epoch_s
from dashboard_api.context import context
from dashboard_api.parameters import Parameters
from dashboard_api.queries.merged import merged_rows
from dashboard_api.responses import json_answer

blueprint = Blueprint("summary", __name__)


@blueprint.get("/metrics/summary")
def summary() -> Response:
    """`{from, to, resolution, metrics, count}`; what is covered is from `from` to `to`."""
    shared = context()
    now = shared.now()
    query = Parameters(request.args, now)
    services = query.services()
    since = query.moment("from", "-1h")
    until = query.moment("to", "now")
    assert since is not None
    assert until is not None
    if since >= until:
        query.refuse("from", "must be before `to`")
    query.check()
    with shared.reader.snapshot() as cursor:
        plan, rows = merged_rows(cursor, shared.windows, since, until, services)
    return json_answer(
        {
            "from": from_epoch_s(plan.start_s),
            "to": from_epoch_s(plan.end_s),
            "resolution": plan.resolution,
            "metrics": rows,
            "count": len(rows),
        }
    )
