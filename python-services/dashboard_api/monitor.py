"""Whether the database answers: probed by a thread of its own, so that asking never waits long."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.connecting import ConnectionParameters
from dashboard_api.deadlines import DatabaseTimeout, deadline

PROBE_EVERY_S = 0.5
ANSWER_WITHIN_S = 1.5
FIRST_ANSWER_WITHIN_S = 2.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """Outcome of a probe. `hangs`: there was no answer at all, rather than a refusal."""

    healthy: bool
    detail: str
    hangs: bool = False


NO_ANSWER = Health(False, f"no answer within {ANSWER_WITHIN_S:g} s", hangs=True)


class DatabaseMonitor:
    """Probes the database every half second from the first question on; one thread a process."""

    def __init__(
        self,
        params: ConnectionParameters,
        *,
        every_s: float = PROBE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._params = params
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._first = threading.Event()
        self._pid = 0
        self._probed_at_s = 0.0
        self._last = NO_ANSWER
        self._connection: Connection | None = None

    def health(self) -> Health:
        """The newest outcome, at most about a second old; waits only for the first one."""
        self.ensure_started()
        self._first.wait(FIRST_ANSWER_WITHIN_S)
        return self._current()

    def hangs(self) -> bool:
        """Whether the database is known not to answer, so that waiting for it is pointless."""
        return self._first.is_set() and self._current().hangs

    def ensure_started(self) -> None:
        """Start the thread if this process has none yet (a fork leaves it behind)."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._first = threading.Event()
            self._connection = None
            threading.Thread(target=self._run, name="database-monitor", daemon=True).start()
            self._pid = os.getpid()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def _current(self) -> Health:
        age_s = self._clock() - self._probed_at_s
        if age_s > self._every_s + ANSWER_WITHIN_S:
            return NO_ANSWER
        return self._last

    def _run(self) -> None:
        before = Health(True, "")
        while not self._stop.is_set():
            outcome = self._probe()
            if outcome.healthy != before.healthy:
                level = logging.INFO if outcome.healthy else logging.WARNING
                _log.log(level, "database: %s", outcome.detail)
            before = self._last = outcome
            self._probed_at_s = self._clock()
            self._first.set()
            self._stop.wait(self._every_s)
        self._drop()

    def _probe(self) -> Health:
        try:
            with deadline(ANSWER_WITHIN_S):
                if self._connection is not None and self._ask(self._connection):
                    return Health(True, "answers")
                self._connection = self._params.connect()
                self._connection.autocommit = True
                self._ask(self._connection, last_try=True)
        except DatabaseTimeout:
            self._drop()
            return NO_ANSWER
        except psycopg2.Error as error:
            _log.debug("probe: %s", self._params.why(error))
            self._drop()
            return Health(False, "cannot be reached")
        return Health(True, "answers")

    def _ask(self, connection: Connection, *, last_try: bool = False) -> bool:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except DatabaseTimeout:
            raise
        except psycopg2.Error:
            # The old connection may have died with a server that is back already.
            self._drop()
            if last_try:
                raise
            return False
        return True

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
