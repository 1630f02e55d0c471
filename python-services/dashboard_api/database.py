"""Access to the database as the read-only role or, for writes, the admin; its troubles turned into 503."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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

LOCK_TIMEOUT_MS = 3_000
WRITERS = 4

# No such table, column, function, schema.
_NOT_MIGRATED = ("42P01", "42703", "42883", "3F000")
# Serialization, lock not available: somebody else was at the same rows.
_BUSY = ("40001", "40P01", "55P03")
_LOST = (psycopg2.OperationalError, psycopg2.InterfaceError)

_log = logging.getLogger(__name__)

Query = str | sql.Composable
Values = Mapping[str, object] | Sequence[object] | None


def reader_parameters(settings: Settings, application_name: str) -> ConnectionParameters:
    """How the API reads: the read-only role, read-only transactions of one snapshot, 5 s a statement."""
    return parameters(
        settings,
        "reader",
        application_name=application_name,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        session={
            "default_transaction_read_only": "on",
            "default_transaction_isolation": "repeatable read",
        },
    )


def writer_parameters(settings: Settings, application_name: str) -> ConnectionParameters:
    """How the API writes: the admin role, 5 s a statement, never long in anybody's way."""
    return parameters(
        settings,
        "admin",
        application_name=application_name,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        session={
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(STATEMENT_TIMEOUT_MS),
        },
    )


class Access:
    """A pool of connections of one role for one process; opened by its first query."""

    def __init__(
        self, params: ConnectionParameters, maximum: int, monitor: DatabaseMonitor
    ) -> None:
        self.params = params
        self._monitor = monitor
        self._pool = Pool(
            self.params, minimum=0, maximum=maximum, checkout_timeout_s=CHECKOUT_TIMEOUT_S
        )

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
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

    def stats(self) -> dict[str, int]:
        """How many connections are used, idle, and allowed at most."""
        return self._pool.stats()

    def _problem(self, error: psycopg2.Error) -> Problem | None:
        """What to answer when the database is at fault; None when our own query is."""
        out_of_time = isinstance(error, DatabaseTimeout) and not self._monitor.hangs()
        if out_of_time or isinstance(error, QueryCanceledError):
            detail = "The database took too long; ask for less."
        elif error.pgcode in _NOT_MIGRATED:
            detail = "The database schema is not up to date."
        elif error.pgcode in _BUSY:
            detail = "Somebody else is changing the same; try again."
        elif isinstance(error, _LOST) or error.pgcode is None:
            detail = "The database cannot be reached."
        else:
            return None
        _log.warning("%s %s", detail, self.params.why(error))
        return unavailable(detail)

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()


class Reader(Access):
    """Reads as the read-only role."""

    def __init__(self, settings: Settings, monitor: DatabaseMonitor) -> None:
        params = reader_parameters(settings, "stacklens-dashboard-api")
        super().__init__(params, settings.db_pool_max, monitor)

    @contextmanager
    def snapshot(self) -> Iterator[Cursor]:
        """A cursor in one transaction, all of whose statements see the database of one moment.

        Raises Problem 503 when the database cannot answer in time.
        """
        with self._transaction() as cursor:
            yield cursor

    def rows(self, query: Query, values: Values = None) -> list[tuple[Any, ...]]:
        """All rows of one query."""
        with self.snapshot() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()


class Writer(Access):
    """Writes as the admin role; a pool of its own, so that it cannot starve readers."""

    def __init__(self, settings: Settings, monitor: DatabaseMonitor) -> None:
        params = writer_parameters(settings, "stacklens-dashboard-api-writer")
        super().__init__(params, min(WRITERS, settings.db_pool_max), monitor)

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor in one transaction: committed at the end of the block, rolled back on an exception.

        Raises Problem 503 when the database cannot answer in time, or somebody holds the same rows.
        """
        with self._transaction() as cursor:
            yield cursor
