"""The Flask application of the dashboard API."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from flask import Flask, Response, g, request

from analytics_service.config import Settings
from dashboard_api.adhoc import AdhocQueries
from dashboard_api.auth import Authenticator, Guard, load_principals
from dashboard_api.context import EXTENSION, Context, utc_now
from dashboard_api.counters import ServerState
from dashboard_api.database import Reader, Writer, reader_parameters
from dashboard_api.errors import register_error_handlers
from dashboard_api.monitor import DatabaseMonitor
from dashboard_api.paths import prepare_paths
from dashboard_api.reading import refuse_foreign
from dashboard_api.resources import BLUEPRINTS
from dashboard_api.responses import finish
from dashboard_api.roles import role_of

VERSION_PREFIX = "/v1"
LARGEST_BODY = 64 * 1024
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_access_log = logging.getLogger("dashboard_api.access")


def create_app(
    settings: Settings, *, state: ServerState | None = None, now: Callable[[], datetime] = utc_now
) -> Flask:
    """The application; it connects to nothing before its first request, so make it before a fork.

    `state` is what the workers of a replica share; `now` gives the time that relative moments and
    health refer to. Raises ConfigurationError when users or keys cannot be read.
    """
    users, keys = load_principals(settings)
    guard = None if settings.api_auth_disabled else Guard(Authenticator(users, keys))
    monitor = DatabaseMonitor(reader_parameters(settings, "stacklens-dashboard-api-probe"))
    shared = Context(
        settings,
        Reader(settings, monitor),
        Writer(settings, monitor),
        AdhocQueries(settings),
        monitor,
        state or ServerState(),
        now,
    )

    app = Flask("dashboard_api", static_folder=None)
    prepare_paths(app)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.extensions[EXTENSION] = shared
    register_error_handlers(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
        app.register_blueprint(blueprint, url_prefix=VERSION_PREFIX, name=f"v1_{blueprint.name}")

    @app.before_request
    def _enter() -> None:
        g.started_s = time.monotonic()
        shared.state.requests.increment()
        monitor.ensure_started()
        if request.method not in SAFE_METHODS:
            refuse_foreign()
        # Unknown paths too: without a password nobody learns which there are.
        role = role_of(app.view_functions.get(request.endpoint or ""))
        if guard is not None and role is not None:
            g.actor = guard.require(role).name

    @app.after_request
    def _leave(response: Response) -> Response:
        answer = finish(response, request)
        _access_log.info(
            "%s %s %d %.1f ms from %s",
            request.method,
            request.environ.get("RAW_URI") or request.full_path,
            answer.status_code,
            (time.monotonic() - g.started_s) * 1000,
            request.remote_addr,
        )
        return answer

    return app
