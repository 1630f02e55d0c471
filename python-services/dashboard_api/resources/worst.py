"""`/top-error-services`, `/slowest-services`: where to look first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response

from analytics_service.domain.times import from_epoch_s
from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.queries.worst import most_failing, plan_of, slowest
from dashboard_api.reading import read_query
from dashboard_api.repeated import once_a_second
from dashboard_api.responses import list_answer
from dashboard_api.schemas.services import (
    SlowestServices,
    SlowService,
    TopErrorService,
    TopErrorServices,
)

DEFAULT_LIMIT = 10
LARGEST_LIMIT = 500

blueprint = Blueprint("worst", __name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for."""

    services: list[str] | None
    since: datetime
    until: datetime
    limit: int
    threshold: float


def _read(query: Parameters, largest: float, doc: str) -> Wanted:
    services = query.services()
    since, until = query.span("-24h")
    limit = query.integer("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT, "At most so many services.")
    threshold = query.number("threshold", 0.0, 0.0, largest, doc)
    query.format()
    return Wanted(services, since, until, limit, threshold)


def _read_errors(query: Parameters) -> Wanted:
    return _read(query, 100.0, "Only services whose error rate is above it, in percent.")


def _read_slow(query: Parameters) -> Wanted:
    return _read(query, 1e9, "Only services whose p99 is above it, in milliseconds.")


@blueprint.get("/top-error-services")
@operation("Services that fail most", answer=TopErrorServices, reads=_read_errors)
@once_a_second
def top_error_services() -> Response:
    """Services with failed requests, the most first; by default of the last 24 hours.

    A range of 12 hours or more is rounded outwards to whole hours; `from` and `to` say what is covered.
    """
    wanted = read_query(_read_errors)
    shared = context()
    with shared.reader.snapshot() as cursor:
        plan = plan_of(cursor, shared.windows, wanted.since, wanted.until)
        found = most_failing(cursor, plan, wanted.services, wanted.limit, wanted.threshold)
    rows = [
        TopErrorService(counts.service, counts.total, counts.failed, counts.error_rate)
        for counts in found
    ]
    answer = TopErrorServices(
        from_epoch_s(plan.start_s), from_epoch_s(plan.end_s), plan.resolution, rows, len(rows)
    )
    return list_answer(answer, "services", TopErrorService)


@blueprint.get("/slowest-services")
@operation("Slowest services", answer=SlowestServices, reads=_read_slow)
@once_a_second
def slowest_services() -> Response:
    """Services by the 99th percentile of their latencies, the slowest first; by default of the last 24 hours.

    Percentiles are of merged histograms. A range of 12 hours or more is rounded outwards to whole hours;
    `from` and `to` say what is covered.
    """
    wanted = read_query(_read_slow)
    shared = context()
    with shared.reader.snapshot() as cursor:
        plan = plan_of(cursor, shared.windows, wanted.since, wanted.until)
        found = slowest(cursor, shared.kept, plan, wanted.services, wanted.limit, wanted.threshold)
    rows = [
        SlowService(**{name: getattr(row, name) for name in SlowService.__struct_fields__})
        for row in found
    ]
    answer = SlowestServices(
        from_epoch_s(plan.start_s), from_epoch_s(plan.end_s), plan.resolution, rows, len(rows)
    )
    return list_answer(answer, "services", SlowService)
