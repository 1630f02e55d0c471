"""The migration runner: one applier at a time, each migration in a transaction, drift refused."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import psycopg2
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.connecting import parameters, with_retries
from analytics_service.adapters.timescale.errors import MigrationError
from analytics_service.adapters.timescale.history import (
    CREATE_HISTORY,
    Drift,
    History,
    Status,
    changed_scripts,
    compare,
    has_history,
    pending_migrations,
    read_history,
    retired_scripts,
)
from analytics_service.adapters.timescale.migration_reports import (
    CheckReport,
    DownReport,
    UpReport,
)
from analytics_service.adapters.timescale.migration_session import exclusive_session
from analytics_service.adapters.timescale.privileges import grant_privileges, set_default_privileges
from analytics_service.adapters.timescale.roles import INSUFFICIENT_PRIVILEGE, ensure_roles
from analytics_service.adapters.timescale.sql_files import (
    SqlFiles,
    inspect_sql_files,
    read_sql_files,
)
from analytics_service.config import Settings

logger = logging.getLogger(__name__)
# A directory of migrations alone has no functions.
MENDING = "functions/plain_restore"


class DriftError(MigrationError):
    """Applied migrations and their files disagree."""

    def __init__(self, drift: tuple[Drift, ...]) -> None:
        self.drift = drift
        lines = "".join(f"\n  migration {found.version:04d}: {found.detail}" for found in drift)
        super().__init__(
            f"the schema has drifted from its files:{lines}\n"
            "Applied migrations are immutable: put the original files back (those of the release"
            " that migrated this database) and write a new migration for what is to change."
        )


class UnknownVersionError(MigrationError):
    """The way down leads to a version that this database is not at or above."""


class Migrator:
    """Brings a database to the schema in `settings.sql_dir`, and back."""

    def __init__(
        self, settings: Settings, *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._params = parameters(
            settings,
            application_name="stacklens-migrate",
            statement_timeout_ms=0,
            session={"lock_timeout": "60s", "client_min_messages": "warning"},
        )

    def up(self) -> UpReport:
        """Apply what is pending, then changed functions and views, then privileges; safe to repeat.

        Waits while another process migrates this database. Raises DriftError, MigrationError,
        MigrationLockError, RolesError, SqlFilesError or PoolOpenError.
        """
        files = read_sql_files(self._settings.sql_dir)
        with exclusive_session(self._params, self._sleep) as connection:
            if not has_history(connection):
                self._run(connection, "the migration records", CREATE_HISTORY)
            history = read_history(connection)
            self._refuse_drift(files, history)
            ensure_roles(connection, self._settings, self._sleep)
            set_default_privileges(connection, self._settings)
            applied = [migration.label for migration in pending_migrations(files, history)]
            for migration in pending_migrations(files, history):
                self._run(
                    connection,
                    migration.label,
                    migration.up,
                    "INSERT INTO public.schema_migrations (version, checksum) VALUES (%s, %s)",
                    (migration.version, migration.checksum),
                )
                logger.info("applied migration %s", migration.label)
            scripts = self._apply_scripts(connection, files, history)
            grant_privileges(connection, self._settings)
            mended = (
                self._mend_plain_restore(connection)
                if any(script.path == MENDING for script in files.scripts)
                else []
            )
        return UpReport(len(files.migrations), applied, scripts, mended)

    def down(self, to: int, *, dry_run: bool = False) -> DownReport:
        """Revert every migration above `to`, newest first; their data go with them.

        All functions and views go first (the next `up` brings them back); roles and the extension
        stay. Raises UnknownVersionError when there is no such version, and what `up` raises.
        """
        files = read_sql_files(self._settings.sql_dir)
        with exclusive_session(self._params, self._sleep) as connection:
            history = read_history(connection)
            self._refuse_drift(files, history)
            version = max((row.version for row in history.migrations), default=0)
            if not 0 <= to <= version:
                raise UnknownVersionError(
                    f"the database is at version {version}; there is no way down to {to}"
                )
            reverting = [
                migration
                for migration in reversed(files.migrations)
                if to < migration.version <= version
            ]
            scripts = list(reversed(history.scripts)) if reverting else []
            if not dry_run:
                for script in scripts:
                    self._drop_script(connection, script.path, script.undo)
                for migration in reverting:
                    self._run(
                        connection,
                        migration.label,
                        migration.down,
                        "DELETE FROM public.schema_migrations WHERE version = %s",
                        (migration.version,),
                    )
                    logger.info("reverted migration %s", migration.label)
        return DownReport(to, dry_run, [m.label for m in reverting], [s.path for s in scripts])

    def status(self) -> Status:
        """Where the database stands; changes nothing."""
        files = read_sql_files(self._settings.sql_dir)
        connection = with_retries(self._params.connect, self._params.why, self._sleep)
        try:
            return compare(files, read_history(connection))
        finally:
            connection.close()

    def check(self, *, skip_database: bool = False) -> CheckReport:
        """Problems of the files and, unless skipped, drift; what is merely pending is none."""
        files, problems = inspect_sql_files(self._settings.sql_dir)
        checksums = {migration.label: migration.checksum for migration in files.migrations}
        if not problems and not skip_database:
            drift = self.status().drift
            problems = [f"migration {found.version:04d}: {found.detail}" for found in drift]
        return CheckReport(problems, checksums, not skip_database)

    @staticmethod
    def _refuse_drift(files: SqlFiles, history: History) -> None:
        if drift := compare(files, history).drift:
            raise DriftError(drift)

    def _apply_scripts(
        self, connection: Connection, files: SqlFiles, history: History
    ) -> list[str]:
        retired = retired_scripts(files, history)
        for row in retired:
            self._drop_script(connection, row.path, row.undo)
        changed = changed_scripts(files, history)
        for script in changed:
            self._run(
                connection,
                script.path,
                script.up,
                "INSERT INTO public.schema_scripts (path, checksum, undo) VALUES (%s, %s, %s)"
                " ON CONFLICT (path) DO UPDATE SET"
                " checksum = excluded.checksum, undo = excluded.undo, applied_at = now()",
                (script.path, script.checksum, script.down),
            )
            logger.info("applied %s", script.path)
        return [row.path for row in retired] + [script.path for script in changed]

    def _drop_script(self, connection: Connection, path: str, undo: str) -> None:
        self._run(
            connection, path, undo, "DELETE FROM public.schema_scripts WHERE path = %s", (path,)
        )
        logger.info("removed %s", path)

    def _mend_plain_restore(self, connection: Connection) -> list[str]:
        """What psql's restore of a dump may have left on the chunks is taken away; a line for each."""
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT stacklens.mend_plain_restore()")
                [(mended,)] = cursor.fetchall()
        except psycopg2.Error as error:
            raise MigrationError(
                f"mending the chunks after a restore failed (SQLSTATE {error.pgcode}):"
                f" {self._params.why(error)}"
            ) from error
        for line in mended:
            logger.warning("mended after a restore: %s", line)
        return list(mended)

    def _run(
        self,
        connection: Connection,
        label: str,
        script: str,
        record: str | None = None,
        values: tuple[object, ...] = (),
    ) -> None:
        """A script and its record in one transaction."""
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(script)
                if record is not None:
                    cursor.execute(record, values)
        except psycopg2.Error as error:
            message = f"{label} failed (SQLSTATE {error.pgcode}): {self._params.why(error)}"
            if error.pgcode == INSUFFICIENT_PRIVILEGE:
                message += f"\n{self._advice(connection)}"
            raise MigrationError(message) from error

    def _advice(self, connection: Connection) -> str:
        user, database = (
            psycopg2.extensions.quote_ident(name, connection)
            for name in (self._settings.db_user, self._settings.db_name)
        )
        return (
            "The owner lacks a privilege. An administrator must run, in this database:\n"
            f"  ALTER DATABASE {database} OWNER TO {user};\n"
            "  CREATE EXTENSION IF NOT EXISTS timescaledb;"
        )


__all__ = [
    "CheckReport",
    "DownReport",
    "DriftError",
    "MigrationError",
    "Migrator",
    "Status",
    "UpReport",
]
