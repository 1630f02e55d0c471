"""Whether the database has the schema this version was built for."""

from __future__ import annotations

from pathlib import Path

from analytics_service.adapters.timescale.history import compare, read_history
from analytics_service.adapters.timescale.sql_files import SqlFilesError, read_sql_files
from dashboard_api.database import Reader
from dashboard_api.monitor import Health


def migration_health(reader: Reader, sql_dir: Path) -> Health:
    """Healthy when nothing is pending or changed. Raises Problem 503 without the database."""
    try:
        files = read_sql_files(sql_dir)
    except SqlFilesError as error:
        return Health(False, f"the files of the schema cannot be used: {error}")
    with reader.snapshot() as cursor:
        status = compare(files, read_history(cursor.connection))
    if status.drift:
        return Health(False, f"{len(status.drift)} applied migration(s) differ from their files")
    waiting = len(status.pending) + len(status.pending_scripts)
    if waiting:
        return Health(False, f"{waiting} change(s) of the schema are not applied yet")
    return Health(True, f"at version {status.version}")
