"""`/high-risk-events`: raw events whose risk is above a threshold."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response

from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.queries.high_risk import EventFilter, high_risk_events
from dashboard_api.reading import read_query
from dashboard_api.responses import list_answer
from dashboard_api.schemas.services import HighRiskEvent, HighRiskEvents

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
DEFAULT_HOURS = 24
MOST_HOURS = 8784

blueprint = Blueprint("high_risk", __name__)


def _read(query: Parameters) -> EventFilter:
    services = query.services()
    hours = query.integer(
        "hours", DEFAULT_HOURS, 1, MOST_HOURS, "So many hours back from `to`, instead of `from`."
    )
    until = query.moment("to", "now", "End of the range, exclusive.")
    since = query.moment("from", doc="Start of the range, inclusive.")
    assert until is not None
    if since is None:
        since = until - timedelta(hours=hours)
    elif query.has("hours"):
        query.refuse("hours", "must not be given together with `from`")
    elif since >= until:
        query.refuse("from", "must be before `to`")
    threshold = query.number(
        "threshold", None, 0.0, 1.0, "Risk above which; default: HIGH_RISK_THRESHOLD."
    )
    limit = query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many events.")
    query.format()
    return EventFilter(services, since, until, threshold, limit)


@blueprint.get("/high-risk-events")
@operation("Events of high risk", answer=HighRiskEvents, reads=_read)
def high_risk() -> Response:
    """The newest raw events whose risk is above the threshold; they are kept RETENTION_HOT days."""
    wanted = read_query(_read)
    shared = context()
    with shared.reader.snapshot() as cursor:
        threshold, events = high_risk_events(cursor, wanted, shared.settings.high_risk_threshold)
    answer = HighRiskEvents(wanted.since, wanted.until, threshold, events, len(events))
    return list_answer(answer, "events", HighRiskEvent)
