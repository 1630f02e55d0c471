"""`/metrics/summary`: one merged row per service over any range of time."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response

from analytics_service.domain.times import from_epoch_s
from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.queries.summary import merged_rows
from dashboard_api.reading import read_query
from dashboard_api.repeated import once_a_second
from dashboard_api.responses import list_answer
from dashboard_api.schemas.metrics import Summary, SummaryRow

blueprint = Blueprint("summary", __name__)


def _read(query: Parameters) -> tuple[list[str] | None, datetime, datetime]:
    services = query.services()
    since, until = query.span("-1h")
    query.format()
    return services, since, until


@blueprint.get("/metrics/summary")
@operation("One merged row per service", answer=Summary, reads=_read)
@once_a_second
def summary() -> Response:
    """Exact counts, percentiles and uniques from merged sketches over any range of time.

    `from` and `to` of the answer say what is covered: the range rounded outwards to the finest windows
    that are kept there.
    """
    services, since, until = read_query(_read)
    shared = context()
    with shared.reader.snapshot() as cursor:
        plan, rows = merged_rows(cursor, shared.kept, shared.windows, since, until, services)
    answer = Summary(
        from_epoch_s(plan.start_s), from_epoch_s(plan.end_s), plan.resolution, rows, len(rows)
    )
    return list_answer(answer, "metrics", SummaryRow)
