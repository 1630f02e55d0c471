"""`/stats`: what the API has served, and what the product has consumed."""

from __future__ import annotations

from importlib import metadata

from flask import Blueprint, Response

from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.queries.totals import totals
from dashboard_api.reading import read_nothing
from dashboard_api.replicas import other_replicas
from dashboard_api.responses import API_VERSION, json_answer
from dashboard_api.schemas.service import Stats

DISTRIBUTION = "stacklens-analytics"

blueprint = Blueprint("stats", __name__)


@blueprint.get("/stats")
@operation("What was served and consumed", answer=Stats)
def stats() -> Response:
    """Counts over all workers and replicas, this request included; totals of the database.

    Other replicas are known with a delay of some 2 seconds.
    """
    read_nothing()
    shared = context()
    state = shared.state
    with shared.reader.snapshot() as cursor:
        figures = totals(cursor)
        others = other_replicas(cursor, state)
    return json_answer(
        Stats(
            service="dashboard-api",
            version=_version(),
            api_version=API_VERSION,
            requests_served=others.requests_served + state.requests.total(),
            uptime_seconds=round(max(others.longest_uptime_s, state.uptime_seconds()), 3),
            replicas=others.running + 1,
            workers=others.workers + state.workers,
            **figures,
            timestamp=shared.now(),
        )
    )


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"
