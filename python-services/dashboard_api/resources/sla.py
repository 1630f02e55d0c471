"""`/sla`: what services promised and kept, and how fast their error budgets burn."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response

from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.queries.sla import service_levels
from dashboard_api.reading import read_query
from dashboard_api.repeated import once_a_second
from dashboard_api.responses import list_answer
from dashboard_api.schemas.services import ServiceSla, SlaAnswer

DEFAULT_DAYS = 30
MOST_DAYS = 366
DEFAULT_OBJECTIVE = 99.9
LOWEST_OBJECTIVE = 0.0
HIGHEST_OBJECTIVE = 99.9999

blueprint = Blueprint("sla", __name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for."""

    services: list[str] | None
    days: int
    objective: float


def _read(query: Parameters) -> Wanted:
    wanted = Wanted(
        services=query.services(),
        days=query.integer("days", DEFAULT_DAYS, 1, MOST_DAYS, "Length of the period, up to now."),
        objective=query.number(
            "objective",
            DEFAULT_OBJECTIVE,
            LOWEST_OBJECTIVE,
            HIGHEST_OBJECTIVE,
            "Percent of requests that must not fail.",
        ),
    )
    query.format()
    return wanted


@blueprint.get("/sla")
@operation("Service levels and error budgets", answer=SlaAnswer, reads=_read)
@once_a_second
def sla() -> Response:
    """Uptime, what is left of the error budget, and burn rates over 1 hour, 6 hours and 3 days.

    A rule burns when the rates over its long and its short window are both at or above its threshold:
    1h and 5m at 14.4 page, 6h and 30m at 6 page, 3d and 6h at 1 make a ticket. Without traffic: null.
    """
    wanted = read_query(_read)
    shared = context()
    with shared.reader.snapshot() as cursor:
        levels = service_levels(
            cursor, shared.windows, shared.now(), wanted.days, wanted.objective, wanted.services
        )
    answer = SlaAnswer(
        wanted.days,
        wanted.objective,
        levels.since,
        levels.until,
        levels.services,
        len(levels.services),
    )
    return list_answer(answer, "services", ServiceSla)
