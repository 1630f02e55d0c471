"""Read access to the database as the read-only role, its troubles turned into 503."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import QueryCanceledError
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.connecting import ConnectionParameters, parameters
from analytics_service.adapters.timescale.errors import PoolError
from analytics_service.adapters.timescale.pool import Pool
from analytics_service.config import Settings
from dashboard_api.deadlines import DatabaseTimeout, deadline
from dashboard_api.errors import Problem, unavailable
from dashboard_api.monitor import DatabaseMonitor

STATEMENT_TIMEOUT_MS = 5_000
REQUEST_DEADLINE_S = 8.0
CHECKOUT_TIMEOUT_S = 2.0

_NOT_MIGRATED = ("42P01", "42703")  # no such table, no such column
_LOST = (psycopg2.OperationalError, psycopg2.InterfaceError)

_log = logging.getLogger(__name__)

Query = str | sql.Composable
Values = Mapping[str, object] | Sequence[object] | None


def reader_parameters(settings: Settings, application_name: str) -> ConnectionParameters:
    """How the API connects: the read-only role, read-only transactions, 5 s a statement."""
    return parameters(
        settings,
        "reader",
        application_name=application_name,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        session={"default_transaction_read_only": "on"},
    )


class Reader:
    """A pool of read-only connections for one process; opened by its first query."""

    def __init__(self, settings: Settings, monitor: DatabaseMonitor) -> None:
        self.params = reader_parameters(settings, "stacklens-dashboard-api")
        self._monitor = monitor
        self._pool = Pool(
            self.params,
            minimum=0,
            maximum=settings.db_pool_max,
            checkout_timeout_s=CHECKOUT_TIMEOUT_S,
        )

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """A cursor in one transaction; Problem 503 when the database cannot answer in time."""
        if self._monitor.hangs():
            raise unavailable("The database does not answer.")
        try:
            with (
                deadline(REQUEST_DEADLINE_S, self._monitor.hangs),
                self._pool.connection() as connection,
                connection.cursor() as cursor,
            ):
                yield cursor
        except PoolError as error:
            _log.warning("no connection for a request: %s", error)
            raise unavailable("The database is too busy.") from None
        except psycopg2.Error as error:
            problem = self._problem(error)
            if problem is None:
                raise
            raise problem from None

    def rows(self, query: Query, values: Values = None) -> list[tuple[object, ...]]:
        """All rows of one query."""
        with self.snapshot() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def _problem(self, error: psycopg2.Error) -> Problem | None:
        """What to answer when the database is at fault; None when our own query is."""
        out_of_time = isinstance(error, DatabaseTimeout) and not self._monitor.hangs()
        if out_of_time or isinstance(error, QueryCanceledError):
            detail = "The database took too long; ask for less."
        elif error.pgcode in _NOT_MIGRATED:
            detail = "The database schema is not up to date."
        elif isinstance(error, _LOST) or error.pgcode is None:
            detail = "The database cannot be reached."
        else:
            return None
        _log.warning("%s %s", detail, self.params.why(error))
        return unavailable(detail)

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()
