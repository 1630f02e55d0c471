"""The session that migrates: one at a time in a database, the others wait."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.connecting import ConnectionParameters, with_retries
from analytics_service.adapters.timescale.errors import MigrationError

# Any number will do, as long as nobody else uses it in this database.
ADVISORY_LOCK = 0x57AC_C0DE_0001
LOCK_NOT_AVAILABLE = "55P03"
LOCK_WAIT_S = 600
LOCK_ROUND_S = 30

logger = logging.getLogger(__name__)


class MigrationLockError(MigrationError):
    """Another process has held the migration lock for longer than any migration should take."""


@contextmanager
def exclusive_session(
    params: ConnectionParameters, sleep: Callable[[float], object]
) -> Iterator[Connection]:
    """A session that holds the migration lock of its database until it is closed.

    Waits for another holder, with a line in the log every 30 s, for ten minutes at most; then
    raises MigrationLockError.
    """
    connection = with_retries(params.connect, params.why, sleep)
    try:
        _lock(connection, params.database)
        _set_search_path(connection)
        yield connection
    finally:
        connection.close()


def _lock(connection: Connection, database: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (ADVISORY_LOCK,))
        if cursor.fetchone() == (True,):
            return
    for waited_s in range(0, LOCK_WAIT_S, LOCK_ROUND_S):
        logger.warning(
            "Waiting for another process to migrate database %s (%d s so far)", database, waited_s
        )
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_ROUND_S}s",))
                cursor.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
            return
        except psycopg2.OperationalError as error:
            if error.pgcode != LOCK_NOT_AVAILABLE:
                raise
    raise MigrationLockError(
        f"another process has held the migration lock of database {database} for {LOCK_WAIT_S} s"
    )


def _set_search_path(connection: Connection) -> None:
    """Schema public, then the one where an administrator may have put the extension."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT set_config('search_path', concat_ws(', ', 'public', (
                SELECT quote_ident(nspname) FROM pg_catalog.pg_extension
                INNER JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = extnamespace
                WHERE extname = 'timescaledb' AND nspname <> 'public'
            )), false)
            """
        )
