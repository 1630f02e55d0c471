"""Rows of backups_made: which backups there are, as the database itself knows it."""

from __future__ import annotations

import contextlib

from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import Settings

APPLICATION = "stacklens-backup"
LOCK_WAIT = "10s"
# The migration that made the table: before that, no backup was noted.
MIGRATION = 16


def note_backup(settings: Settings, file_name: str, size: int) -> bool:
    """Note that a backup was finished just now; False where the schema is too old for that.

    Raises psycopg2 errors.
    """
    params = parameters(settings, application_name=APPLICATION, session={"lock_timeout": LOCK_WAIT})
    with contextlib.closing(params.connect()) as connection, connection.cursor() as cur:
        cur.execute("SELECT to_regclass('public.backups_made') IS NOT NULL")
        if cur.fetchone() != (True,):
            return False
        cur.execute(
            """
            INSERT INTO public.backups_made (file_name, bytes) VALUES (%s, %s)
            ON CONFLICT (file_name) DO UPDATE SET finished_at = now(), bytes = excluded.bytes
            """,
            (file_name, size),
        )
        connection.commit()
    return True


def last_backup(cur: cursor) -> float:
    """When the newest backup was finished, in seconds of the epoch.

    Before the first one: when this schema began to know of backups; with a new installation that is when it was made.
    """
    cur.execute(
        """
        SELECT extract(epoch FROM coalesce(
            (SELECT max(finished_at) FROM public.backups_made),
            (SELECT applied_at FROM public.schema_migrations WHERE version = %s)
        ))
        """,
        (MIGRATION,),
    )
    ((moment,),) = cur.fetchall()
    return float(moment)
