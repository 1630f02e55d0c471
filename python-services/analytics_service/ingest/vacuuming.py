"""The thread in which a worker keeps the tables of live windows small."""

from __future__ import annotations

import logging
import threading
from typing import Final

import psycopg2
from psycopg2.errorcodes import QUERY_CANCELED
from psycopg2.extensions import connection

from analytics_service import metrics
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.lasting import LastingConnection
from analytics_service.adapters.timescale.vacuuming import Overgrown, overgrown, vacuum
from analytics_service.config import Settings
from analytics_service.domain.windows import WINDOWS

logger = logging.getLogger(__name__)

# Two flushes of a quiet worker: each of them leaves as many dead rows as a table of few windows has living ones.
EVERY_S: Final = 0.5
AFTER_TROUBLE_S: Final = 10.0
STOP_S: Final = 1.0
# What takes longer is autovacuum's. Archiving, which waits for a vacuum, tries for longer than this.
SESSION: Final = "SET statement_timeout = '10s'; SET TimeZone = 'UTC'"


class Vacuuming:
    """One a worker; any number of workers: what one of them is at, the others leave alone."""

    def __init__(self, settings: Settings) -> None:
        self._database = LastingConnection(
            parameters(settings, application_name="stacklens-analytics vacuum"), SESSION
        )
        self._tables = [window.table for window in WINDOWS]
        # Dead rows that a vacuum had to leave, for a transaction that is open elsewhere may still see them.
        self._left: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vacuum", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End. A vacuum under way is not waited for: the server ends it by itself."""
        self._ended.set()
        self._thread.join(STOP_S)

    def look(self) -> bool:
        """Vacuum what is overgrown; whether there was no trouble."""
        try:
            conn = self._database.get()
            conn.autocommit = True
            found = overgrown(conn, self._tables)
            left = {one.relation: self._left.get(one.relation, 0) for one in found}
            # What was left is looked at again when it has doubled: a backup may hold it fast for an hour.
            due = [one for one in found if one.dead_rows >= 2 * left[one.relation]]
            self._left = left
            done = self._vacuum(conn, due)
            if done:
                dead = {one.relation: one.dead_rows for one in overgrown(conn, self._tables)}
                for one in done:
                    after = dead.get(one.relation, 0)
                    # Where most of it is gone, the rest has died since.
                    self._left[one.relation] = after if 2 * after >= one.dead_rows else 0
        except psycopg2.Error as error:
            # Autovacuum does it a minute later; the database's trouble is told by those who need it.
            logger.info("tables were not vacuumed: %s", self._database.why(error))
            self._database.discard()
            return False
        except Exception:  # pylint: disable=broad-exception-caught  # the next look may succeed; this one is told
            logger.exception("vacuuming failed")
            self._database.discard()
            return False
        return True

    def _run(self) -> None:
        wait_s = EVERY_S
        while not self._ended.wait(wait_s):
            wait_s = EVERY_S if self.look() else AFTER_TROUBLE_S
        self._database.discard()

    def _vacuum(self, conn: connection, due: list[Overgrown]) -> list[Overgrown]:
        """Those of them that were vacuumed."""
        done: set[tuple[str, str]] = set()
        # A chunk and its out-of-line values are vacuumed together.
        for chunk in {(one.schema, one.name): one for one in due}.values():
            if self._ended.is_set():
                break
            try:
                if vacuum(conn, chunk):
                    metrics.VACUUMS.inc()
                    done.add((chunk.schema, chunk.name))
            except psycopg2.Error as error:
                if error.pgcode != QUERY_CANCELED:
                    raise
                logger.info("%s was left to autovacuum: %s", chunk.name, self._database.why(error))
        return [one for one in due if (one.schema, one.name) in done]
