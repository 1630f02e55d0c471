"""`stacklens analytics`: run an analytics worker in the foreground."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from signal import SIGTERM
from signal import signal as handle_signal

import click

from analytics_service import metrics
from analytics_service.adapters.health_server import HealthServer
from analytics_service.bootstrap import prepare_database, prepare_topics
from analytics_service.config import Settings, load_settings
from analytics_service.entrypoints.faust_process import end_at_once, execute
from analytics_service.health import Health
from analytics_service.logs import configure_logging, log_settings

logger = logging.getLogger(__name__)

GC_THRESHOLDS = (200_000, 20, 50)
SWITCH_INTERVAL_S = 0.0002


@click.command(name="analytics")
def analytics() -> None:
    """Run a worker: events from Kafka into windows in TimescaleDB.

    Configured by the environment (see docs/configuration.md). Health and metrics are on METRICS_PORT.
    Ends with exit code 0 on SIGTERM or Ctrl-C, after committing what is in flight.

    \b
    Examples:
      stacklens analytics
      METRICS_PORT=0 LOG_FORMAT=json stacklens analytics
    """
    # Until Faust has its own handlers there is nothing in flight to finish.
    handle_signal(SIGTERM, end_at_once)
    settings = load_settings()
    configure_logging(settings)
    log_settings(logger, settings)
    run(settings)


def run(settings: Settings) -> None:
    """Run until a signal; raises what made the worker fail."""
    # Faust is heavy and reads the environment when imported: only this command pays for it.
    from analytics_service.alerting.service import AlertingService  # pylint: disable=import-outside-toplevel
    from analytics_service.entrypoints.watchdog import start_watchdog  # pylint: disable=import-outside-toplevel
    from analytics_service.entrypoints.worker import create_worker  # pylint: disable=import-outside-toplevel
    from analytics_service.heap import keep_heap_small  # pylint: disable=import-outside-toplevel
    from analytics_service.ingest.service import IngestService  # pylint: disable=import-outside-toplevel
    from analytics_service.ingest.vacuuming import Vacuuming  # pylint: disable=import-outside-toplevel

    # Decoding, fetching and flushing share the interpreter; with the default of 5 ms the flush thread would wait that
    # long after each piece it sends.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # Tens of thousands of live events without cycles: looking through them for cycles cost a fifth of the time.
    gc.set_threshold(*GC_THRESHOLDS)
    keep_heap_small()
    health = Health()
    server = HealthServer(
        settings.metrics_port,
        "analytics-service",
        health,
        metrics.REGISTRY if settings.enable_metrics else None,
    )
    server.start()
    logger.info("health and metrics on port %d", server.port)
    pool = prepare_database(settings, "stacklens-analytics", publish=True)
    prepare_topics(settings)
    asyncio.set_event_loop(asyncio.new_event_loop())
    service = IngestService(settings, pool, health)
    app = create_worker(settings, service)
    alerting = AlertingService(settings)
    alerting.start()
    vacuuming = Vacuuming(settings)
    vacuuming.start()
    watch = start_watchdog(health)
    try:
        execute(app)
    finally:
        watch.set()
        vacuuming.stop()
        alerting.stop()
        service.close()
        server.stop()
    logger.info("stopped")
