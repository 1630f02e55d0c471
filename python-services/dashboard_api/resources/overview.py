"""`/overview`: what the dashboard page shows, one request for each refresh of each of its views."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, Response
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.alert_records import deliveries_of, history_of
from dashboard_api.compression import compressed
from dashboard_api.context import context
from dashboard_api.errors import invalid_parameters
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.paths import NUMBER
from dashboard_api.queries import pipeline
from dashboard_api.queries.alert_stats import channel_figures
from dashboard_api.queries.dead_letters import SHOWN_BYTES, LetterFilter, find_letters
from dashboard_api.queries.overview import Brief
from dashboard_api.queries.rules import rule_named
from dashboard_api.queries.service_overview import chart_points, letters_naming, thresholds_of
from dashboard_api.queries.shown_alerts import (
    current_silences,
    episodes_of,
    open_alerts,
    resolved_since,
    shown,
)
from dashboard_api.reading import read_nothing, read_query
from dashboard_api.resources.alerts import known_alert
from dashboard_api.resources.dead_letters import STATUSES
from dashboard_api.resources.silences import silence_row
from dashboard_api.responses import json_answer
from dashboard_api.schemas.alerts import Delivery, HistoryStep
from dashboard_api.schemas.overview import (
    AlertOverview,
    AlertsOverview,
    ChartPoints,
    DeadLettersOverview,
    Head,
    Overview,
    ServiceOverview,
    SystemOverview,
)
from dashboard_api.schemas.services import ServiceHealth
from dashboard_api.who import person, role

LONGEST_SERVICE = 255
LONGEST_RANGE = timedelta(days=366)
RESOLVED_FOR = timedelta(days=1)
LETTERS_AT_ONCE = 50

blueprint = Blueprint("overview", __name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    service: str
    since: datetime
    until: datetime
    with_chart: bool


def _read_service(query: Parameters) -> _Wanted:
    service = query.text("service", LONGEST_SERVICE, "The service.")
    since, until = query.span("-1h")
    if service is None:
        query.refuse("service", "must name a service")
    if until - since > LONGEST_RANGE:
        query.refuse("from", f"must lie at most {LONGEST_RANGE.days} days before `to`")
    chart = query.choice("chart", ("yes", "no"), "yes", "no: without the points, which cost most.")
    return _Wanted(service or "", since, until, chart == "yes")


def _read_letters(query: Parameters) -> LetterFilter:
    status = query.choice("status", STATUSES, "pending", "Only letters in this state.")
    return LetterFilter(before_id=query.before_id(), status=None if status == "all" else status)


@blueprint.get("/overview")
@operation("What the page shows first", answer=Overview)
def overview() -> Response:
    """Every service seen within a day with its trend of half an hour, the worst first; looked up once a second."""
    read_nothing()
    brief = context().briefs.newest()
    return compressed(
        json_answer(Overview(_head(brief), brief.services, brief.trend_from, brief.trend_step_s))
    )


@blueprint.get("/overview/service")
@operation("What the page shows of a service", answer=ServiceOverview, reads=_read_service)
def service_overview() -> Response:
    """Its figures, the points of its charts, the episodes of its alerts in the range, and its last dead letters."""
    wanted = read_query(_read_service)
    brief = context().briefs.newest()
    with context().reader.snapshot() as cursor:
        chart = _chart(cursor, wanted) if wanted.with_chart else None
        episodes = episodes_of(cursor, wanted.service, wanted.since, wanted.until)
        answer = ServiceOverview(
            head=_head(brief),
            name=wanted.service,
            service=_health(brief, wanted.service),
            chart=chart,
            thresholds=thresholds_of(cursor, wanted.service),
            alerts=shown(cursor, episodes, current_silences(cursor)),
            dead_letters=letters_naming(cursor, wanted.service) if role() == "admin" else None,
        )
    return compressed(json_answer(answer))


@blueprint.get("/overview/alerts")
@operation("What the page shows of alerts", answer=AlertsOverview)
def alerts_overview() -> Response:
    """At most 500 open alerts and 50 that were resolved within a day, with the last that each channel was told."""
    read_nothing()
    brief = context().briefs.newest()
    with context().reader.snapshot() as cursor:
        silences = current_silences(cursor)
        resolved = resolved_since(cursor, brief.at - RESOLVED_FOR)
        answer = AlertsOverview(
            _head(brief),
            shown(cursor, open_alerts(cursor), silences),
            shown(cursor, resolved, silences),
            [silence_row(silence) for silence in silences],
            channel_figures(cursor),
        )
    return compressed(json_answer(answer))


@blueprint.get(f"/overview/alerts/<{NUMBER}:alert_id>")
@operation("What the page shows of an alert", answer=AlertOverview, problems=(404,))
def alert_overview(alert_id: int) -> Response:
    """The alert, its rule, its history, and all that was told of it."""
    read_nothing()
    brief = context().briefs.newest()
    with context().reader.snapshot() as cursor:
        row = known_alert(cursor, alert_id)
        silences = current_silences(cursor)
        told = [Delivery(**each) for each in deliveries_of(cursor, row["episode_id"])]
        (alert,) = shown(cursor, [row], silences, {row["episode_id"]: told})
        answer = AlertOverview(
            _head(brief),
            alert,
            rule_named(cursor, row["rule_name"]),
            [HistoryStep(**step) for step in history_of(cursor, alert_id)],
            [silence_row(silence) for silence in silences],
        )
    return compressed(json_answer(answer))


@blueprint.get("/overview/dead-letters")
@operation("What the page shows of dead letters", answer=DeadLettersOverview, reads=_read_letters)
def dead_letters_overview() -> Response:
    """As `/dead-letters`, at most 50 at once; a reader sees that there is nothing for them."""
    wanted = read_query(_read_letters)
    brief = context().briefs.newest()
    if role() != "admin":
        return json_answer(DeadLettersOverview(_head(brief), None, None))
    with context().reader.snapshot() as cursor:
        found = find_letters(cursor, wanted, LETTERS_AT_ONCE + 1, SHOWN_BYTES)
    page = found[:LETTERS_AT_ONCE]
    next_cursor = str(page[-1].id) if len(found) > LETTERS_AT_ONCE else None
    return compressed(json_answer(DeadLettersOverview(_head(brief), page, next_cursor)))


@blueprint.get("/overview/system")
@operation("What the page shows of the pipeline", answer=SystemOverview)
def system_overview() -> Response:
    """The input topic's partitions, how late events are stored, and what waits."""
    read_nothing()
    brief = context().briefs.newest()
    shared = context()
    topic = shared.settings.kafka_input_topic
    with shared.reader.snapshot() as cursor:
        answer = SystemOverview(
            head=_head(brief),
            topic=topic,
            partitions=pipeline.partitions(cursor, topic),
            stored_latency=pipeline.stored_latency(cursor),
            dead_letters_pending=pipeline.pending_letters(cursor),
            outbox_backlog=pipeline.outbox_backlog(cursor),
            evaluator=pipeline.evaluator(cursor),
            channels=channel_figures(cursor),
        )
    return compressed(json_answer(answer))


def _chart(cursor: Cursor, wanted: _Wanted) -> ChartPoints:
    try:
        return chart_points(cursor, context(), wanted.service, wanted.since, wanted.until)
    except ValueError as error:
        raise invalid_parameters({"from": str(error)}) from None


def _head(brief: Brief) -> Head:
    return Head(brief.at, person(), brief.status, brief.counts, brief.alerts, brief.freshness)


def _health(brief: Brief, service: str) -> ServiceHealth | None:
    found = next((row for row in brief.services if row.service == service), None)
    if found is None:
        return None
    return ServiceHealth(**{name: getattr(found, name) for name in ServiceHealth.__struct_fields__})
