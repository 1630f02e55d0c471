"""`/health`, `/healthz`, `/readyz`: for supervisors and people, without a password."""

from __future__ import annotations

from typing import Literal

from flask import Blueprint, Response

from dashboard_api.context import context
from dashboard_api.errors import Problem
from dashboard_api.monitor import Health
from dashboard_api.operations import operation
from dashboard_api.queries.migrations import migration_health
from dashboard_api.responses import json_answer
from dashboard_api.roles import public
from dashboard_api.schemas.service import Alive, Component, Verdict

_Status = Literal["healthy", "unhealthy", "ready", "not ready"]

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
@operation("The process is alive", answer=Alive)
def healthz() -> Response:
    """Alive; touches nothing."""
    return json_answer(Alive("alive"))


@blueprint.get("/health")
@public
@operation("Can the API do its work", answer=Verdict, other={503: Verdict})
def health() -> Response:
    """200 `healthy`, or 503 `unhealthy` with the parts that failed."""
    return _verdict({"database": context().monitor.health()}, "healthy", "unhealthy")


@blueprint.get("/readyz")
@public
@operation("Database and schema are ready", answer=Verdict, other={503: Verdict})
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


def _verdict(parts: dict[str, Health], good: _Status, bad: _Status) -> Response:
    failed = [name for name, part in parts.items() if not part.healthy]
    components = {
        name: Component("healthy" if part.healthy else "unhealthy", part.detail)
        for name, part in parts.items()
    }
    body = Verdict(bad if failed else good, "dashboard-api", components, context().now())
    if failed:
        body.failed = failed
    answer = json_answer(body, 503 if failed else 200)
    answer.headers["Cache-Control"] = "no-store"
    return answer
