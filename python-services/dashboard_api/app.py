"""The Flask application of the dashboard API."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from flask import Flask, Response, g, request

from analytics_service.config import Settings
from dashboard_api import repeated
from dashboard_api.adhoc import AdhocQueries
from dashboard_api.auth import Authenticator
from dashboard_api.briefs import Briefs, looking
from dashboard_api.clients import client_address, parse_networks
from dashboard_api.context import EXTENSION, Context, utc_now, windows_of
from dashboard_api.counters import ServerState
from dashboard_api.database import Reader, Writer, reader_parameters
from dashboard_api.errors import register_error_handlers
from dashboard_api.guard import Guard
from dashboard_api.kept_parts import KeptParts
from dashboard_api.metrics import ApiMetrics
from dashboard_api.monitor import DatabaseMonitor
from dashboard_api.paths import VERSION_PREFIX, prepare_paths, route_of, routes_of
from dashboard_api.principals import load_principals
from dashboard_api.reading import refuse_foreign
from dashboard_api.renewing import Renewing
from dashboard_api.replicas import ReplicaReport
from dashboard_api.resources import BLUEPRINTS
from dashboard_api.responses import finish, moment_text
from dashboard_api.roles import role_of
from dashboard_api.shared_newest import SharedNewest
from dashboard_api.throttle import Throttle

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
    state = state or ServerState()
    trusted = parse_networks(settings.api_trusted_proxies)
    app = Flask("dashboard_api", static_folder=None)
    prepare_paths(app)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    register_error_handlers(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
        app.register_blueprint(blueprint, url_prefix=VERSION_PREFIX, name=f"v1_{blueprint.name}")

    shared = app.extensions[EXTENSION] = _context(settings, state, routes_of(app), now)
    app.extensions[repeated.EXTENSION] = repeated.Repeated(
        shared.renewing, lambda: moment_text(now())
    )
    guard = None
    if not settings.api_auth_disabled:
        guard = Guard(
            Authenticator(users, keys),
            Throttle(),
            lambda: client_address(request, trusted),
            shared.metrics.fail,
        )

    @app.before_request
    def _enter() -> None:
        g.started_s = time.monotonic()
        state.requests.increment()
        shared.metrics.begin()
        shared.monitor.ensure_started()
        shared.report.ensure_started()
        if request.method not in SAFE_METHODS:
            refuse_foreign()
        # Unknown paths too: without a password nobody learns which there are.
        role = role_of(app.view_functions.get(request.endpoint or ""))
        if guard is not None and role is not None:
            who = guard.require(role)
            if who is not None:
                g.actor = who.name

    @app.after_request
    def _leave(response: Response) -> Response:
        answer = finish(response, request)
        seconds = time.monotonic() - g.started_s
        shared.metrics.count(route_of(request), request.method, answer.status_code, seconds)
        _access_log.info(
            "%s %s %d %.1f ms from %s",
            request.method,
            request.environ.get("RAW_URI") or request.full_path,
            answer.status_code,
            seconds * 1000,
            client_address(request, trusted),
        )
        return answer

    @app.teardown_request
    def _over(_error: BaseException | None) -> None:
        if "started_s" in g:
            shared.metrics.end(shared.reader.stats())

    return app


def _context(
    settings: Settings, state: ServerState, routes: Sequence[str], now: Callable[[], datetime]
) -> Context:
    monitor = DatabaseMonitor(reader_parameters(settings, "stacklens-dashboard-api-probe"))
    renewing = Renewing()
    reader, writer = Reader(settings, monitor), Writer(settings, monitor)
    kept = KeptParts()
    look = looking(reader, kept, windows_of(settings), settings.kafka_input_topic, now)
    return Context(
        settings,
        reader,
        writer,
        AdhocQueries(settings),
        monitor,
        state,
        ApiMetrics(routes),
        ReplicaReport(writer, state),
        kept,
        Briefs(look, SharedNewest(), renewing),
        renewing,
        now,
    )
