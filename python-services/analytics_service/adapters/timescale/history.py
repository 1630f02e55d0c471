"""What has been applied to a database, compared with what the files hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.sql_files import Migration, Script, SqlFiles

CREATE_HISTORY = """
CREATE TABLE public.schema_migrations (
    version integer PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.schema_migrations IS 'Migrations applied to this database.';
COMMENT ON COLUMN public.schema_migrations.version IS 'Number of the migration.';
COMMENT ON COLUMN public.schema_migrations.checksum IS 'SHA-256 of its .up.sql file, hexadecimal.';
COMMENT ON COLUMN public.schema_migrations.applied_at IS 'When it was applied.';

CREATE TABLE public.schema_scripts (
    path text PRIMARY KEY,
    checksum text NOT NULL,
    undo text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.schema_scripts IS 'Functions and views, as last applied.';
COMMENT ON COLUMN public.schema_scripts.path IS 'Which file: functions/subject or views/subject.';
COMMENT ON COLUMN public.schema_scripts.checksum IS 'SHA-256 of its .up.sql file, hexadecimal.';
COMMENT ON COLUMN public.schema_scripts.undo IS 'Its .down.sql file, which takes its objects away.';
COMMENT ON COLUMN public.schema_scripts.applied_at IS 'When it was last applied.';
"""


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A row of schema_migrations."""

    version: int
    checksum: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class AppliedScript:
    """A row of schema_scripts."""

    path: str
    checksum: str
    undo: str


@dataclass(frozen=True, slots=True)
class History:
    """What a database has had applied."""

    migrations: tuple[AppliedMigration, ...]
    scripts: tuple[AppliedScript, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """A migration whose file and whose record disagree."""

    version: int
    kind: Literal["changed", "missing", "skipped"]
    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database stands. Current: nothing pending, no drift."""

    version: int
    applied: tuple[AppliedMigration, ...]
    pending: tuple[str, ...]
    pending_scripts: tuple[str, ...]
    drift: tuple[Drift, ...]

    @property
    def is_current(self) -> bool:
        """Whether the database is exactly what the files describe."""
        return not (self.pending or self.pending_scripts or self.drift)

    def as_dict(self) -> dict[str, Any]:
        """For a report in JSON."""
        report = asdict(self)
        for row in report["applied"]:
            row["applied_at"] = row["applied_at"].isoformat()
        return {**report, "is_current": self.is_current}


def has_history(connection: Connection) -> bool:
    """Whether this database was ever migrated."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.schema_scripts') IS NOT NULL")
        return cursor.fetchone() == (True,)


def read_history(connection: Connection) -> History:
    """What was applied; empty for a fresh database. The reader role may ask, too."""
    if not has_history(connection):
        return History((), ())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT version, checksum, applied_at FROM public.schema_migrations ORDER BY version"
        )
        migrations = tuple(AppliedMigration(*row) for row in cursor.fetchall())
        cursor.execute("SELECT path, checksum, undo FROM public.schema_scripts ORDER BY path")
        return History(migrations, tuple(AppliedScript(*row) for row in cursor.fetchall()))


def compare(files: SqlFiles, history: History) -> Status:
    """What is applied, what is pending, and what drifted apart."""
    return Status(
        version=max((row.version for row in history.migrations), default=0),
        applied=history.migrations,
        pending=tuple(migration.label for migration in pending_migrations(files, history)),
        pending_scripts=tuple(script.path for script in changed_scripts(files, history))
        + tuple(script.path for script in retired_scripts(files, history)),
        drift=tuple(_drift(files, history)),
    )


def pending_migrations(files: SqlFiles, history: History) -> list[Migration]:
    """Migrations not applied yet, ascending."""
    done = {row.version for row in history.migrations}
    return [migration for migration in files.migrations if migration.version not in done]


def changed_scripts(files: SqlFiles, history: History) -> list[Script]:
    """Re-runnable files that are new or differ from what was applied last, functions first."""
    done = {row.path: row.checksum for row in history.scripts}
    return [script for script in files.scripts if done.get(script.path) != script.checksum]


def retired_scripts(files: SqlFiles, history: History) -> list[AppliedScript]:
    """Applied re-runnable files that are no longer there, views first."""
    there = {script.path for script in files.scripts}
    return [row for row in reversed(history.scripts) if row.path not in there]


def _drift(files: SqlFiles, history: History) -> list[Drift]:
    by_version = {migration.version: migration for migration in files.migrations}
    done = {row.version for row in history.migrations}
    found = []
    for row in history.migrations:
        migration = by_version.get(row.version)
        if migration is None:
            found.append(Drift(row.version, "missing", "applied, but its file is not there"))
        elif migration.checksum != row.checksum:
            detail = f"{migration.label}.up.sql was changed after it was applied"
            found.append(Drift(row.version, "changed", detail))
    for version in sorted(by_version.keys() - done):
        if version < max(done, default=0):
            found.append(Drift(version, "skipped", "not applied, although a later one is"))
    return sorted(found, key=lambda drift: drift.version)
