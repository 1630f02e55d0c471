"""The thread in which the worker that evaluates publishes the outbox: a broker that is away holds up no look."""

from __future__ import annotations

import logging
import threading

import psycopg2
from kafka.errors import KafkaError
from psycopg2.extensions import connection

from analytics_service import metrics
from analytics_service.adapters.timescale.alert_outbox import backlog
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.held_lease import HeldLease
from analytics_service.adapters.timescale.lasting import LastingConnection
from analytics_service.adapters.timescale.leases import Lease, LeaseLost
from analytics_service.alerting.outbox_relay import OutboxRelay
from analytics_service.config import Settings

logger = logging.getLogger(__name__)

IDLE_S = 1.0
STOP_S = 5.0


class Relaying:
    """Publishes while the lease is held; looks every second, and at once when it is woken."""

    def __init__(self, settings: Settings, held: HeldLease) -> None:
        self._held = held
        self._relay = OutboxRelay(settings)
        self._database = LastingConnection(
            parameters(settings, application_name="stacklens-analytics outbox")
        )
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to publish."""
        self._wake.set()

    def stop(self) -> None:
        """End after the messages under way."""
        self._ended.set()
        self._wake.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._round()
            self._wake.wait(IDLE_S)
            self._wake.clear()
        self._relay.close()
        self._database.discard()

    def _round(self) -> None:
        held = self._held.current()
        if held is None:
            _show(0, 0.0)
            return
        try:
            self._publish(self._database.get(), held[0])
        except LeaseLost as error:
            logger.warning("alerts: %s", error)
        except psycopg2.Error as error:
            logger.warning("alerts: the outbox waits: %s", self._database.why(error))
            self._database.discard()
        except Exception:  # pylint: disable=broad-exception-caught  # the next round may go better; this one is told
            logger.exception("alerts: publishing failed")
            self._relay.close()
            self._database.discard()

    def _publish(self, conn: connection, lease: Lease) -> None:
        try:
            while self._relay.step(conn, lease) and not self._ended.is_set():
                pass
        except KafkaError as error:
            logger.warning(
                "alerts: messages wait for the broker: %s: %s", type(error).__name__, error
            )
            self._relay.close()
        with conn, conn.cursor() as cur:
            _show(*backlog(cur))


def _show(waiting: int, oldest_s: float) -> None:
    metrics.OUTBOX_BACKLOG.set(waiting)
    metrics.OUTBOX_OLDEST.set(oldest_s)
