"""Looks at the open alerts all the time: what every look finds, and what there is at the moment."""

from __future__ import annotations

import contextlib
import threading

import psycopg2
from psycopg2.extensions import connection

from tests.databases import Database
from tests.faults.alerts.records import Seen

EVERY_S = 0.3
_OPEN = """
    SELECT id, rule_name, service, extract(epoch FROM pending_since)::double precision,
        extract(epoch FROM active_since)::double precision
    FROM analytics_alerts WHERE status <> 'resolved'
"""


class Watch:
    """A thread with a connection of its own, made anew after every fault."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: dict[Seen, None] = {}
        self._now: list[Seen] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch over alerts")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def seen(self) -> list[Seen]:
        """Everything that any look found, once, in the order in which it was found first."""
        with self._lock:
            return list(self._found)

    def fired(self, service: str) -> set[str] | None:
        """The rules that fire for a service; None: the last look failed."""
        with self._lock:
            if self._now is None:
                return None
            return {e.rule for e in self._now if e.service == service and e.active_s is not None}

    def begun(self, service: str) -> set[str] | None:
        """The rules that fire for a service or are about to; None: the last look failed."""
        with self._lock:
            if self._now is None:
                return None
            return {each.rule for each in self._now if each.service == service}

    def firing(self) -> list[int]:
        """The alerts that fire."""
        with self._lock:
            return [each.alert_id for each in self._now or () if each.active_s is not None]

    def _run(self) -> None:
        held: connection | None = None
        while not self._stopping.wait(EVERY_S):
            try:
                if held is None or held.closed:
                    held = self._database.connect()
                with held.cursor() as cursor:
                    cursor.execute(_OPEN)
                    now = [Seen(*row) for row in cursor.fetchall()]
            except psycopg2.Error:
                held = None
                with self._lock:
                    self._now = None
                continue
            with self._lock:
                self._now = now
                self._found |= dict.fromkeys(now)
        if held is not None:
            with contextlib.suppress(psycopg2.Error):
                held.close()
