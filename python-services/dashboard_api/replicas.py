"""How much every replica has served: each tells the database every few seconds, and /stats adds up.

Each worker process tells the count of its whole replica; the greatest one stays, so that it does not
matter which of them is late, or dies.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor

from dashboard_api.counters import ServerState
from dashboard_api.database import Writer
from dashboard_api.errors import Problem

EVERY_S = 2.0
SEEN_WITHIN_S = 15.0
"""A replica that was not heard of for longer does not run any more."""

# Even when nothing was asked for: that it runs has to be seen.
_AT_LEAST_EVERY = 3
_TELL = """
    INSERT INTO api_replicas AS known (replica_id, host, started_at, workers, requests_served)
    VALUES (%(id)s, %(host)s, now() - make_interval(secs => %(uptime)s), %(workers)s, %(served)s)
    ON CONFLICT (replica_id) DO UPDATE
    SET requests_served = greatest(known.requests_served, excluded.requests_served), seen_at = now()
"""
_OTHERS = """
    SELECT
        coalesce(sum(requests_served), 0)::bigint,
        count(*) FILTER (WHERE runs),
        coalesce(sum(workers) FILTER (WHERE runs), 0)::bigint,
        coalesce(max(extract(epoch FROM now() - started_at)) FILTER (WHERE runs), 0)::double precision
    FROM (
        SELECT *, seen_at > now() - make_interval(secs => %s) AS runs FROM api_replicas WHERE replica_id <> %s
    ) AS others
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Others:
    """What the other replicas have served, those that are gone included; the rest is of those that run."""

    requests_served: int
    running: int
    workers: int
    longest_uptime_s: float


def other_replicas(cursor: Cursor, state: ServerState) -> Others:
    """All replicas but that of `state`."""
    cursor.execute(_OTHERS, (SEEN_WITHIN_S, str(state.replica_id)))
    row = cursor.fetchone()
    assert row is not None
    return Others(*row)


class ReplicaReport:
    """Tells the database what this replica has served; one thread a process, from its first request on."""

    def __init__(self, writer: Writer, state: ServerState, every_s: float = EVERY_S) -> None:
        self._writer = writer
        self._state = state
        self._every_s = every_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._pid = 0
        self._told = -1
        self._is_failing = False

    def ensure_started(self) -> None:
        """Start the thread if this process has none yet (a fork leaves it behind)."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                threading.Thread(target=self._run, name="replica-report", daemon=True).start()
                self._pid = os.getpid()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def tell(self) -> None:
        """Tell now. Raises Problem 503 when the database cannot be written to."""
        served = self._state.requests.total()
        with self._writer.transaction() as cursor:
            cursor.execute(
                _TELL,
                {
                    "id": str(self._state.replica_id),
                    "host": socket.gethostname(),
                    "uptime": self._state.uptime_seconds(),
                    "workers": self._state.workers,
                    "served": served,
                },
            )
        self._told = served

    def try_to_tell(self) -> None:
        """Tell now; a failure is logged, once until it works again."""
        try:
            self.tell()
        except Problem as problem:
            if not self._is_failing:
                _log.warning("what was served cannot be written down: %s", problem.detail)
            self._is_failing = True
        else:
            self._is_failing = False

    def _run(self) -> None:
        rounds = 0
        while not self._stop.wait(self._every_s if rounds else 0):
            if self._state.requests.total() != self._told or rounds % _AT_LEAST_EVERY == 0:
                self.try_to_tell()
            rounds += 1
