"""`stacklens notifier`: run an alert notifier in the foreground."""

from __future__ import annotations

import asyncio
import logging
from signal import SIGTERM
from signal import signal as handle_signal

import click

from analytics_service import metrics
from analytics_service.adapters.health_server import HealthServer
from analytics_service.adapters.notifiers import channels_from
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.bootstrap import prepare_database, prepare_topics
from analytics_service.config import Settings, load_settings
from analytics_service.entrypoints.faust_process import end_at_once, execute
from analytics_service.health import Health
from analytics_service.logs import configure_logging, log_settings
from analytics_service.notifying.intake import Intake
from analytics_service.notifying.service import NotifyingService

logger = logging.getLogger(__name__)


@click.command(name="notifier")
def notifier() -> None:
    """Run a notifier: alerts from the alert topic to Slack, email and PagerDuty.

    Configured by the environment (see docs/configuration.md); a channel with nothing set is off. Health and metrics are
    on NOTIFIER_METRICS_PORT. Any number may run, one of them sends. Ends with exit code 0 on SIGTERM or Ctrl-C.

    \b
    Examples:
      stacklens notifier
      SLACK_WEBHOOK_URL=https://hooks.slack.com/services/... stacklens notifier
    """
    handle_signal(SIGTERM, end_at_once)
    settings = load_settings()
    configure_logging(settings)
    log_settings(logger, settings)
    run(settings)


def run(settings: Settings) -> None:
    """Run until a signal; raises what made the notifier fail."""
    # Faust is heavy and reads the environment when imported: only this command pays for it.
    from analytics_service.entrypoints.notifier import create_notifier  # pylint: disable=import-outside-toplevel
    from analytics_service.entrypoints.watchdog import start_watchdog  # pylint: disable=import-outside-toplevel

    health = Health()
    server = HealthServer(
        settings.notifier_metrics_port,
        "alert-notifier",
        health,
        metrics.NOTIFIER_REGISTRY if settings.enable_metrics else None,
        "NOTIFIER_METRICS_PORT",
    )
    server.start()
    logger.info("health and metrics on port %d", server.port)
    prepare_database(settings, "stacklens-notifier").close()
    prepare_topics(settings)
    asyncio.set_event_loop(asyncio.new_event_loop())
    service = NotifyingService(settings, channels_from(settings), health)
    intake = Intake(
        parameters(settings, application_name="stacklens-notifier intake"), service.wake
    )
    app = create_notifier(settings, intake, health, service.caught_up)
    service.start()
    watch = start_watchdog(health)
    try:
        execute(app)
    finally:
        watch.set()
        intake.end()
        service.stop()
        intake.close()
        server.stop()
    logger.info("stopped")
