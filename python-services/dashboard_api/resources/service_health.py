"""`/health-status`: how every service is doing."""

from __future__ import annotations

from flask import Blueprint, Response, request

from dashboard_api.context import context
from dashboard_api.parameters import Parameters
from dashboard_api.queries.service_health import service_health
from dashboard_api.responses import json_answer
from dashboard_api.service_status import overall

blueprint = Blueprint("service_health", __name__)


@blueprint.get("/health-status")
def health_status() -> Response:
    """`{status, services, count, timestamp}`, the worst service first."""
    shared = context()
    now = shared.now()
    Parameters(request.args, now).check()
    with shared.reader.snapshot() as cursor:
        services = service_health(cursor, shared.windows, now)
    return json_answer(
        {
            "status": overall(row["health_status"] for row in services),
            "services": services,
            "count": len(services),
            "timestamp": now,
        }
    )
