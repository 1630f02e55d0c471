"""`/health`, `/healthz`, `/readyz`: for supervisors and people, without a password."""

from __future__ import annotations

from flask import Blueprint, Response

from dashboard_api.context import context
from dashboard_api.errors import Problem
from dashboard_api.monitor import Health
from dashboard_api.queries.migrations import migration_health
from dashboard_api.responses import json_answer
from dashboard_api.roles import public

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> Response:
    """Alive; touches nothing."""
    return json_answer({"status": "alive"})


@blueprint.get("/health")
@public
def health() -> Response:
    """200 `healthy`, or 503 `unhealthy` with the parts that failed."""
    return _verdict({"database": context().monitor.health()}, "healthy", "unhealthy")


@blueprint.get("/readyz")
@public
def readyz() -> Response:
    """200 `ready` when the database answers and its migrations are current, else 503."""
    shared = context()
    database = shared.monitor.health()
    migrations = Health(False, "not known while the database cannot be reached")
    if database.healthy:
        try:
            migrations = migration_health(shared.reader, shared.settings.sql_dir)
        except Problem as problem:
            migrations = Health(False, problem.detail)
    return _verdict({"database": database, "migrations": migrations}, "ready", "not ready")


def _verdict(parts: dict[str, Health], good: str, bad: str) -> Response:
    failed = [name for name, part in parts.items() if not part.healthy]
    body: dict[str, object] = {
        "status": bad if failed else good,
        "service": "dashboard-api",
        "components": {
            name: {"status": "healthy" if part.healthy else "unhealthy", "detail": part.detail}
            for name, part in parts.items()
        },
        "timestamp": context().now(),
    }
    if failed:
        body["failed"] = failed
    answer = json_answer(body, 503 if failed else 200)
    answer.headers["Cache-Control"] = "no-store"
    return answer
