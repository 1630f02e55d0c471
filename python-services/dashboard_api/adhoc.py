"""Somebody's own SELECT: as the read-only role, in a READ ONLY transaction, on a connection of its own.

Nothing here reads the text. The server opens it as a cursor, which takes exactly one statement that
gives rows; the role and the transaction refuse every write; the connection is closed afterwards, and
with it goes whatever the statement left in its session, locks included.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.connecting import ConnectionParameters, parameters
from analytics_service.config import Settings
from dashboard_api.adhoc_values import read_raw_values
from dashboard_api.deadlines import DatabaseTimeout, deadline
from dashboard_api.errors import Problem, unavailable

TIMEOUT_MS = 5_000
MOST_ROWS = 10_000
MOST_BYTES = 16 * 1024 * 1024
MOST_AT_ONCE = 2
"""Statements that a process runs at once; each has a connection of its own."""

_FETCHED_AT_ONCE = 500
# The client waits a little longer than the server, whose error tells more.
_DEADLINE_S = TIMEOUT_MS / 1000 + 3
# Connection trouble, out of resources, shut down: not the statement's fault.
_TROUBLE = ("08", "53", "57P", "58", "XX")
_OPEN = """
DO $$
DECLARE
    statement refcursor := 'statement';
BEGIN
    OPEN statement NO SCROLL FOR EXECUTE current_setting('stacklens.statement');
END
$$
"""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Table:
    """What a statement gave: columns as (name, PostgreSQL's type), and rows that JSON can hold."""

    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[object]] = field(default_factory=list)
    truncated: bool = False


def adhoc_parameters(settings: Settings) -> ConnectionParameters:
    """How such a connection is made."""
    limit = str(TIMEOUT_MS)
    return parameters(
        settings,
        "reader",
        application_name="stacklens-dashboard-api-query",
        statement_timeout_ms=TIMEOUT_MS,
        session={
            "default_transaction_read_only": "on",
            "lock_timeout": limit,
            "idle_in_transaction_session_timeout": limit,
            "intervalstyle": "iso_8601",
            "datestyle": "ISO",
            "bytea_output": "hex",
            "extra_float_digits": "1",
        },
    )


class AdhocQueries:
    """Runs statements, a few at once; one object an application."""

    def __init__(self, settings: Settings) -> None:
        self._params = adhoc_parameters(settings)
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)

    def run(self, statement: str, limit: int) -> Table:
        """At most `limit` rows of `statement`.

        Raises Problem 400 with PostgreSQL's message and code when the statement is at fault, 503 when the
        database is, or enough statements are running.
        """
        if not self._places.acquire(blocking=False):  # pylint: disable=consider-using-with  # `with` would wait
            raise unavailable("Enough statements are running; try again.")
        try:
            with deadline(_DEADLINE_S), closing(self._params.connect()) as connection:
                return _run(connection, statement, limit)
        except psycopg2.Error as error:
            raise self._problem(error) from None
        except UnicodeDecodeError:
            raise _refused("The statement has changed the encoding of its answer.", None) from None
        finally:
            self._places.release()

    def _problem(self, error: psycopg2.Error) -> Problem:
        code = error.pgcode
        if code is None or code.startswith(_TROUBLE):
            _log.warning("a statement failed: %s", self._params.why(error))
            slow = isinstance(error, DatabaseTimeout)
            return unavailable(
                "The database took too long." if slow else "The database cannot run it now."
            )
        return _refused(error.diag.message_primary or "PostgreSQL refused the statement.", code)


def _refused(message: str, code: str | None) -> Problem:
    return Problem(400, "query-failed", message, parameters={"sql": message}, sqlstate=code)


def _run(connection: Connection, statement: str, limit: int) -> Table:
    ends_at_s = time.monotonic() + TIMEOUT_MS / 1000
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    read_raw_values(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('stacklens.statement', %s, true)", (statement,))
        _limit_time(cursor, ends_at_s)
        cursor.execute(_OPEN)
        table = _fetch(cursor, limit, ends_at_s)
        table.columns = _columns(cursor, table)
    # Never committed: whatever a function did in spite of it all is undone.
    connection.rollback()
    return table


def _fetch(cursor: Cursor, limit: int, ends_at_s: float) -> Table:
    table = Table()
    size = 0
    while True:
        wanted = min(_FETCHED_AT_ONCE, limit + 1 - len(table.rows))
        _limit_time(cursor, ends_at_s)
        cursor.execute("FETCH FORWARD %s FROM statement", (wanted,))
        table.columns = [
            (column.name, str(column.type_code)) for column in cursor.description or ()
        ]
        rows = cursor.fetchall()
        for row in rows:
            size += sum(len(str(value)) for value in row)
            if len(table.rows) == limit or (size > MOST_BYTES and table.rows):
                table.truncated = True
                return table
            table.rows.append(list(row))
        if len(rows) < wanted:
            return table


def _limit_time(cursor: Cursor, ends_at_s: float) -> None:
    """What the statement set before has no say in it."""
    left_ms = max(int((ends_at_s - time.monotonic()) * 1000), 1)
    cursor.execute("SELECT set_config('statement_timeout', %s, true)", (str(left_ms),))


def _columns(cursor: Cursor, table: Table) -> list[tuple[str, str]]:
    """Names of the types instead of their numbers."""
    cursor.execute("RESET search_path")
    cursor.execute(
        "SELECT place, pg_catalog.format_type(kind::pg_catalog.oid, NULL)"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS kinds (kind, place) ORDER BY place",
        ([kind for _, kind in table.columns],),
    )
    kinds = [str(kind) for _, kind in cursor.fetchall()]
    return [(name, kind) for (name, _), kind in zip(table.columns, kinds, strict=True)]
