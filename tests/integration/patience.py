"""Sessions that a test holds open while others wait for them, on a machine that may be busy."""

from __future__ import annotations

from psycopg2.extensions import connection as Connection


def be_patient(connection: Connection) -> None:
    """Instead of the product's timeouts, which a test's threads may reach before they get their turn. Commits."""
    with connection.cursor() as cursor:
        # A statement's time counts the locks it waits for.
        cursor.execute(
            "SET idle_in_transaction_session_timeout = 0;"
            " SET lock_timeout = '60s'; SET statement_timeout = '60s'"
        )
    connection.commit()
