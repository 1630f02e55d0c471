"""gunicorn around the application: a few forked workers of several threads each."""

from __future__ import annotations

import gc
import logging
import os
import sys
from typing import Any
from wsgiref.simple_server import WSGIServer

from flask import Flask
from gunicorn.app.base import BaseApplication
from prometheus_client import CollectorRegistry, start_http_server

from analytics_service.config import Settings
from dashboard_api import deadlines
from dashboard_api.app import create_app
from dashboard_api.context import EXTENSION, Context
from dashboard_api.counters import ServerState
from dashboard_api.metrics import registry_of
from dashboard_api.server_log import ServerLogger
from dashboard_api.server_worker import DashboardWorker

MOST_WORKERS = 4
GRACEFUL_S = 15
WORKER_TIMEOUT_S = 30
KEEPALIVE_S = 75
LONGEST_REQUEST_LINE = 8190
# An answer makes thousands of objects that are gone with it, beside thousands that are kept: looked through seldom.
GC_THRESHOLDS = (50_000, 20, 50)
# A request that only waits for the database now and then stands behind one that merges, each time it comes back.
SWITCH_AFTER_S = 0.001

_log = logging.getLogger(__name__)


def default_workers() -> int:
    """Two a core and one more, at most four."""
    return min(MOST_WORKERS, 2 * (os.cpu_count() or 1) + 1)


class DashboardServer(BaseApplication):  # type: ignore[misc]  # the library is not typed
    """Runs the API until SIGTERM or SIGINT; `run()` does not return before."""

    def __init__(self, settings: Settings, *, workers: int, threads: int) -> None:
        self._settings = settings
        self._workers = workers
        self._threads = threads
        self._state = ServerState(workers)
        self._shared: Context | None = None
        self._metrics: WSGIServer | None = None
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's own settings; nothing is taken from its environment or files."""
        host = (
            f"[{self._settings.api_host}]"
            if ":" in self._settings.api_host
            else self._settings.api_host
        )
        options: dict[str, Any] = {
            "bind": f"{host}:{self._settings.api_port}",
            "workers": self._workers,
            "threads": self._threads,
            "worker_class": DashboardWorker,
            "preload_app": True,
            "timeout": WORKER_TIMEOUT_S,
            "graceful_timeout": GRACEFUL_S,
            "keepalive": KEEPALIVE_S,
            "limit_request_line": LONGEST_REQUEST_LINE,
            "control_socket_disable": True,
            "proc_name": "stacklens-api",
            "logger_class": ServerLogger,
            "when_ready": self._ready,
            "pre_fork": self._before_fork,
            "post_fork": self._in_worker,
            "child_exit": self._worker_gone,
            "worker_exit": self._worker_ends,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def init(self, parser: Any, opts: Any, args: Any) -> None:
        """Nothing: there is no command line to read."""

    def load(self) -> Flask:
        """The application, made once before the workers are forked."""
        app = create_app(self._settings, state=self._state)
        self._shared = app.extensions[EXTENSION]
        return app

    def _ready(self, arbiter: Any) -> None:
        if self._settings.enable_metrics:
            assert self._shared is not None
            registry = registry_of(
                self._shared.metrics, self._state, self._settings.api_certificate_file
            )
            self._metrics = serve_metrics(self._settings, registry)
        for listener in arbiter.LISTENERS:
            host, port = listener.sock.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            _log.info("dashboard-api listening on http://%s:%d", shown, port)

    def _before_fork(self, _arbiter: Any, worker: Any) -> None:
        worker.stacklens_slot = self._state.requests.reserve()

    def _in_worker(self, _arbiter: Any, worker: Any) -> None:
        self._state.requests.bind(worker.stacklens_slot)
        if self._shared is not None:
            self._shared.metrics.cells.bind(worker.stacklens_slot)
        if self._metrics is not None:
            self._metrics.socket.close()  # the parent's alone
        gc.freeze()  # the application itself stays
        gc.set_threshold(*GC_THRESHOLDS)
        sys.setswitchinterval(SWITCH_AFTER_S)
        deadlines.install()

    def _worker_ends(self, _arbiter: Any, _worker: Any) -> None:
        """In the worker, when it ends in order: what it has served since it last told of it."""
        if self._shared is not None:
            self._shared.report.try_to_tell()

    def _worker_gone(self, _arbiter: Any, worker: Any) -> None:
        self._state.requests.release(worker.stacklens_slot)
        if self._shared is not None:
            self._shared.metrics.worker_gone(worker.stacklens_slot)


def serve_metrics(settings: Settings, registry: CollectorRegistry) -> WSGIServer:
    """Serve `registry` on API_METRICS_PORT, to every address of this machine; ends the process when it is taken."""
    try:
        server, _ = start_http_server(settings.api_metrics_port, registry=registry)
    except OSError as error:
        _log.error(
            "cannot listen on port %d: %s; set API_METRICS_PORT to another port, or to 0 for a free one",
            settings.api_metrics_port,
            error.strerror,
        )
        raise SystemExit(1) from None
    _log.info("metrics of dashboard-api on port %d", server.server_port)
    return server
