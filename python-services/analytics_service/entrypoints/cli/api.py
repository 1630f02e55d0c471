"""`stacklens api`: run the dashboard API in the foreground."""

from __future__ import annotations

import logging

import click

from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.config import load_settings
from analytics_service.logs import configure_logging, log_settings

logger = logging.getLogger(__name__)


@click.command("api")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that answer; default: two a core and one more, at most four.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Requests that a process handles at once; default: MAX_THREADS.",
)
def api(workers: int | None, threads: int | None) -> None:
    """Run the dashboard API: metrics, health and statistics over HTTP.

    Listens on API_HOST:API_PORT (port 0: a free one, logged). Brings the schema up to date first.
    Users come from API_USERS or API_USERS_FILE, bearer keys from API_KEYS. Ends with exit code 0 on
    SIGTERM or Ctrl-C, after answering what is under way.

    \b
    Examples:
      stacklens api
      API_HOST=0.0.0.0 API_PORT=8005 stacklens api --workers 2 --threads 16
      API_USERS="$(printf %s "$PASSWORD" | stacklens hash-password --user anna)" stacklens api
    """
    # Only this command needs Flask and gunicorn.
    from dashboard_api.server import DashboardServer, default_workers  # pylint: disable=import-outside-toplevel

    settings = load_settings()
    configure_logging(settings)
    log_settings(logger, settings)
    server = DashboardServer(
        settings, workers=workers or default_workers(), threads=threads or settings.max_threads
    )
    server.wsgi()  # finds what is wrong with users and keys before anything else is done
    Migrator(settings).up()
    server.run()
