"""The thread in which a worker tries for the lease and, while it holds it, evaluates the rules."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time

import psycopg2
from psycopg2.errorcodes import UNIQUE_VIOLATION
from psycopg2.extensions import connection

from analytics_service import metrics
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.held_lease import HeldLease
from analytics_service.adapters.timescale.lasting import LastingConnection
from analytics_service.adapters.timescale.leases import Lease, LeaseLost, release, take
from analytics_service.alerting.evaluator import BEHIND_S, Looked, evaluate
from analytics_service.alerting.relaying import Relaying
from analytics_service.config import Settings
from analytics_service.domain.windows import window_named

logger = logging.getLogger(__name__)

LEASE = "alert-evaluator"
LEASE_S = 5.0
TICK_S = 1.0
QUICK_TICK_S = 0.4
STOP_S = 5.0
SAID_AFTER_S = 10.0


class AlertingService:
    """One a worker; any number of workers."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.kafka_input_topic
        self._windows = [window_named(name) for name in settings.aggregation_windows]
        self._database = LastingConnection(
            parameters(settings, application_name="stacklens-analytics alerts")
        )
        self._held = HeldLease(LEASE_S)
        self._relaying = Relaying(settings, self._held)
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._lease: Lease | None = None
        self._looked_s = 0.0
        self._behind_since_s: float | None = None
        self._is_said = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()
        self._relaying.start()

    def stop(self) -> None:
        """End after the look under way, and let another worker have the lease at once."""
        self._relaying.stop()
        self._ended.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            began = time.monotonic()
            due = began + TICK_S
            self._tick()
            # A quick look is followed by another one sooner: alerts come sooner, and it costs little.
            due = min(due, began + max(QUICK_TICK_S, 3 * self._looked_s))
        self._end()

    def _tick(self) -> None:
        try:
            conn = self._database.get()
            self._hold(conn)
            if self._lease is not None:
                started = time.perf_counter()
                looked = evaluate(conn, self._lease, self._topic, self._windows)
                _show(looked)
                self._say_if_behind(behind=looked.behind)
                self._looked_s = time.perf_counter() - started
                metrics.EVALUATION_SECONDS.observe(self._looked_s)
                self._relaying.wake()
        except LeaseLost as error:
            logger.warning("alerts: %s", error)
            self._lease = None
            self._held.lost()
        except psycopg2.Error as error:
            if error.pgcode == UNIQUE_VIOLATION:
                logger.info("alerts: somebody acted on an alert at the same moment, looking again")
            else:
                logger.warning("alerts: database trouble: %s", self._database.why(error))
                self._database.discard()
        except Exception:  # pylint: disable=broad-exception-caught  # the next look may succeed; this one is told
            logger.exception("alerts: the look at the rules failed")
            self._database.discard()
        metrics.EVALUATOR_LEADER.set(0 if self._lease is None else 1)
        is_behind = self._lease is not None and self._behind_since_s is not None
        metrics.EVALUATOR_BEHIND.set(int(is_behind))

    def _say_if_behind(self, *, behind: bool) -> None:
        """Once it has lasted: a worker that has just started is behind for a moment."""
        if not behind:
            if self._is_said:
                logger.info("alerts: events are stored as they come, rules are judged again")
            self._behind_since_s, self._is_said = None, False
            return
        now_s = time.monotonic()
        if self._behind_since_s is None:
            self._behind_since_s = now_s
        if not self._is_said and now_s - self._behind_since_s >= SAID_AFTER_S:
            logger.warning(
                "alerts: every alert stays as it is, for it is not known that all events of %.0f s ago are stored",
                BEHIND_S,
            )
            self._is_said = True

    def _hold(self, conn: connection) -> None:
        before, asked_at = self._lease, time.monotonic()
        self._lease = take(conn, LEASE, self._holder, LEASE_S)
        if self._lease is not None and (before is None or before.epoch != self._lease.epoch):
            logger.info("alerts: this worker evaluates the rules (epoch %d)", self._lease.epoch)
        if self._lease is not None:
            self._held.renewed(self._lease, asked_at)
            return
        self._held.lost()
        for state in metrics.ALERT_STATES:
            metrics.ALERTS.labels(state).set(0)

    def _end(self) -> None:
        try:
            if self._lease is not None:
                release(self._database.get(), self._lease)
        except psycopg2.Error as error:
            logger.info("alerts: the lease runs out by itself: %s", self._database.why(error))
        self._database.discard()


def _show(looked: Looked) -> None:
    metrics.ALERT_RULES.set(looked.rules)
    for state in metrics.ALERT_STATES:
        metrics.ALERTS.labels(state).set(looked.states[state])
    for status, count in looked.reached.items():
        metrics.ALERT_TRANSITIONS.labels(status).inc(count)
