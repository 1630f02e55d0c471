"""The thread in which a worker keeps the tables of live windows small."""

from __future__ import annotations

import logging
import threading
from typing import Final

import psycopg2

from analytics_service import metrics
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.lasting import LastingConnection
from analytics_service.adapters.timescale.vacuuming import overgrown, vacuum
from analytics_service.config import Settings
from analytics_service.domain.windows import WINDOWS

logger = logging.getLogger(__name__)

# Two flushes of a quiet worker: each of them leaves as many dead rows as a table of few windows has living ones.
EVERY_S: Final = 0.5
STOP_S: Final = 5.0
# Nobody waits for a vacuum, and no transaction of its own stays open.
SESSION: Final = "SET statement_timeout = '60s'; SET TimeZone = 'UTC'"


class Vacuuming:
    """One a worker; any number of workers: what one of them is at, the others leave alone."""

    def __init__(self, settings: Settings) -> None:
        self._database = LastingConnection(
            parameters(settings, application_name="stacklens-analytics vacuum"), SESSION
        )
        self._tables = [window.table for window in WINDOWS]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vacuum", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the vacuum under way, or let it be broken off."""
        self._ended.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._look()
        self._database.discard()

    def _look(self) -> None:
        try:
            conn = self._database.get()
            conn.autocommit = True
            for chunk in overgrown(conn, self._tables):
                if self._ended.is_set():
                    return
                vacuum(conn, chunk)
                metrics.VACUUMS.inc()
        except psycopg2.Error as error:
            # Autovacuum does it a minute later; the database's trouble is told by those who need it.
            logger.info("tables were not vacuumed: %s", self._database.why(error))
            self._database.discard()
