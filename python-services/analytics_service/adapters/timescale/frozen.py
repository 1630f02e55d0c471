"""Ending the flush of a worker that froze in the middle of a COPY.

PostgreSQL's timeouts do not reach that state: a session that waits for COPY data is not idle in its transaction, and no
statement timeout interrupts the wait. Its row locks would hold up every other worker for as long as it sleeps.
"""

from __future__ import annotations

from analytics_service.adapters.timescale.connecting import ConnectionParameters

# A flush formats and sends all its rows within a fraction of this.
FROZEN_AFTER_S = 8


def end_frozen_flushes(parameters: ConnectionParameters) -> int:
    """Terminate this database's flush sessions that have waited for COPY data for long; returns how many.

    Nothing is lost: whatever they had not committed is read again by whoever owns the partitions. Raises psycopg2
    errors.
    """
    conn = parameters.connect()
    try:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(
                """
                SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))
                FROM pg_stat_activity
                WHERE datname = current_database() AND usename = current_user
                    AND application_name = %s AND pid <> pg_backend_pid()
                    AND state = 'active' AND wait_event = 'ClientRead'
                    AND state_change < clock_timestamp() - make_interval(secs => %s)
                """,
                (parameters.application_name, FROZEN_AFTER_S),
            )
            row = cur.fetchone()
        return int(row[0]) if row else 0
    finally:
        conn.close()
