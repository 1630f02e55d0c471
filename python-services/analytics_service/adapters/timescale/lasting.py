"""A connection that one thread keeps for long, made anew after trouble."""

from __future__ import annotations

from psycopg2.extensions import connection

from analytics_service.adapters.timescale.connecting import ConnectionParameters

# What is written about alerts is never lost with a crash of the database: unlike flushes, it waits for the disk. A
# thread that freezes in mid-transaction holds nobody up for long.
ALERT_SESSION = """
    SET synchronous_commit = on; SET idle_in_transaction_session_timeout = '5s'; SET statement_timeout = '10s';
    SET lock_timeout = '5s'; SET TimeZone = 'UTC'
"""


class LastingConnection:
    """Opened when it is first asked for; used by one thread."""

    def __init__(self, parameters: ConnectionParameters, session: str = ALERT_SESSION) -> None:
        self.parameters = parameters
        self._session = session
        self._conn: connection | None = None

    def get(self) -> connection:
        """The connection, a new one if there is none. Raises psycopg2.OperationalError."""
        if self._conn is None or self._conn.closed:
            self._conn = self.parameters.connect()
            with self._conn, self._conn.cursor() as cur:
                cur.execute(self._session)
        return self._conn

    def discard(self) -> None:
        """Close it; whatever is under way is rolled back."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def why(self, error: BaseException) -> str:
        """An error in one line, without the password."""
        return self.parameters.why(error)
