"""`/stats`: what this replica has served, and what the product has consumed."""

from __future__ import annotations

from importlib import metadata

from flask import Blueprint, Response, request

from dashboard_api.context import context
from dashboard_api.parameters import Parameters
from dashboard_api.queries.totals import totals
from dashboard_api.responses import API_VERSION, json_answer

DISTRIBUTION = "stacklens-analytics"

blueprint = Blueprint("stats", __name__)


@blueprint.get("/stats")
def stats() -> Response:
    """Counts over all workers of this replica, this request included; totals of the database."""
    shared = context()
    Parameters(request.args, shared.now()).check()
    figures = totals(shared.reader)
    return json_answer(
        {
            "service": "dashboard-api",
            "version": _version(),
            "api_version": API_VERSION,
            "requests_served": shared.state.requests.total(),
            "uptime_seconds": round(shared.state.uptime_seconds(), 3),
            "workers": shared.state.workers,
            **figures,
            "timestamp": shared.now(),
        }
    )


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"
