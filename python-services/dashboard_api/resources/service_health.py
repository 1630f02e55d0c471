"""`/health-status`: how every service is doing."""

from __future__ import annotations

from flask import Blueprint, Response

from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.parameters import Parameters
from dashboard_api.queries.service_health import service_health
from dashboard_api.reading import read_query
from dashboard_api.repeated import once_a_second
from dashboard_api.responses import list_answer
from dashboard_api.schemas.services import HealthStatusAnswer, ServiceHealth
from dashboard_api.service_status import overall

blueprint = Blueprint("service_health", __name__)


def _read(query: Parameters) -> None:
    query.format()


@blueprint.get("/health-status")
@operation("How every service is doing", answer=HealthStatusAnswer, reads=_read)
@once_a_second
def health_status() -> Response:
    """Figures of the last five minutes, the worst service first.

    unhealthy: error rate above 20 % or p99 above 1000 ms; degraded: 5 % or 500 ms. The thresholds are in
    the table system_config.
    """
    read_query(_read)
    shared = context()
    now = shared.now()
    with shared.reader.snapshot() as cursor:
        services = service_health(cursor, shared.kept, shared.windows, now)
    status = overall(row.health_status for row in services)
    answer = HealthStatusAnswer(status, services, len(services), now)
    return list_answer(answer, "services", ServiceHealth)
