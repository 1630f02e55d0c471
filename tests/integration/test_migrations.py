"""The migration runner against a real TimescaleDB: up, again, down, drift, and several at once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analytics_service.adapters.timescale import migration_session
from analytics_service.adapters.timescale.migrations import (
    DriftError,
    MigrationError,
    Migrator,
    UnknownVersionError,
)
from analytics_service.config import Settings, load_settings
from tests.databases import Database
from tests.schema_inspection import snapshot
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
OWN_FILES = ROOT / "sql"
MIGRATIONS = sorted(path.name.split(".")[0] for path in OWN_FILES.glob("migrations/*.up.sql"))
SCRIPTS = [
    f"{kind}/{path.name.split('.')[0]}"
    for kind in ("functions", "views")
    for path in sorted((OWN_FILES / kind).glob("*.up.sql"))
]


def settings_for(database: Database, sql_dir: Path = OWN_FILES, **more: str) -> Settings:
    """The product's settings on this database."""
    environ = {**database.env, "APP_ENV": "test", "SQL_DIR": str(sql_dir), **more}
    return load_settings(environ, env_file=None)


@pytest.fixture
def sql_dir(tmp_path: Path) -> Path:
    """A copy of the product's files, to be changed at will."""
    return shutil.copytree(OWN_FILES, tmp_path / "sql")


def versions(database: Database) -> list[int]:
    """The migrations that the database says it has."""
    return [row[0] for row in database.rows("SELECT version FROM schema_migrations ORDER BY 1")]


def start_up(database: Database, **more: str) -> subprocess.Popen[str]:
    """`stacklens migrate up` in a process of its own, reporting to standard output."""
    return subprocess.Popen(
        [sys.executable, "-m", "analytics_service.entrypoints.cli.main", "migrate", "up"],
        env={
            **os.environ,
            **database.env,
            "APP_ENV": "test",
            "PYTHONPATH": str(ROOT / "python-services"),
            **more,
        },
        cwd=ROOT / "sql",  # no .env there
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """What a process printed; it must have succeeded."""
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


@pytest.mark.both_postgres
def test_a_fresh_database_gets_the_whole_schema(empty_database: Database) -> None:
    """Every migration in order, then the functions."""
    report = Migrator(settings_for(empty_database)).up()
    assert report.applied == MIGRATIONS
    assert report.scripts == SCRIPTS
    assert versions(empty_database) == list(range(1, len(MIGRATIONS) + 1))


@pytest.mark.both_postgres
def test_up_again_changes_nothing(empty_database: Database) -> None:
    """The second run reports nothing and leaves schema and privileges as they are."""
    migrator = Migrator(settings_for(empty_database))
    migrator.up()
    before = snapshot(empty_database)
    report = migrator.up()
    assert (report.applied, report.scripts) == ([], [])
    assert snapshot(empty_database) == before


@pytest.mark.both_postgres
def test_down_to_nothing_and_up_again(empty_database: Database) -> None:
    """The way back leaves only the runner's records; the way there gives the same schema again."""
    migrator = Migrator(settings_for(empty_database))
    migrator.up()
    before = snapshot(empty_database)
    report = migrator.down(0)
    assert report.reverted == MIGRATIONS[::-1]
    left = {
        (row[0], row[1]) for row in snapshot(empty_database) if row[0] in ("relation", "function")
    }
    assert left == {
        ("relation", "schema_migrations"),
        ("relation", "schema_migrations_pkey"),
        ("relation", "schema_scripts"),
        ("relation", "schema_scripts_pkey"),
    }
    assert empty_database.rows("SELECT FROM pg_namespace WHERE nspname = 'stacklens'") == []
    assert versions(empty_database) == []
    assert migrator.up().applied == MIGRATIONS
    assert snapshot(empty_database) == before


@pytest.mark.both_postgres
@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_each_migration_forwards_and_backwards(
    empty_database: Database, sql_dir: Path, version: int
) -> None:
    """Migration N taken back gives exactly the schema of N - 1, and N again exactly that of N."""
    for kind in ("functions", "views"):
        shutil.rmtree(sql_dir / kind)
    migrator = Migrator(settings_for(empty_database, sql_dir))
    beyond = [path for path in (sql_dir / "migrations").iterdir() if int(path.name[:4]) >= version]
    kept = {path: path.read_bytes() for path in beyond}
    for path in beyond:
        path.unlink()
    if version > 1:
        migrator.up()
        before = snapshot(empty_database)
    for path, content in kept.items():
        if int(path.name[:4]) == version:
            path.write_bytes(content)
    migrator.up()
    after = snapshot(empty_database)
    migrator.down(version - 1)
    if version > 1:
        assert snapshot(empty_database) == before
    assert migrator.up().applied == [MIGRATIONS[version - 1]]
    assert snapshot(empty_database) == after


def test_a_dry_run_reverts_nothing(empty_database: Database) -> None:
    """It names what would go, newest first."""
    migrator = Migrator(settings_for(empty_database))
    migrator.up()
    before = snapshot(empty_database)
    report = migrator.down(3, dry_run=True)
    assert report.reverted == MIGRATIONS[:2:-1]
    assert report.scripts == SCRIPTS[::-1]
    assert snapshot(empty_database) == before


@pytest.mark.parametrize("version", [-1, len(MIGRATIONS) + 1])
def test_down_to_an_unknown_version_is_refused(empty_database: Database, version: int) -> None:
    """There is no way down to where the database never was."""
    migrator = Migrator(settings_for(empty_database))
    migrator.up()
    with pytest.raises(UnknownVersionError, match=f"no way down to {version}"):
        migrator.down(version)
    assert versions(empty_database) == list(range(1, len(MIGRATIONS) + 1))


def _change(sql_dir: Path) -> None:
    file = sql_dir / "migrations" / f"{MIGRATIONS[1]}.up.sql"
    file.write_text(file.read_text() + "\n-- a harmless comment\n")


def _remove(sql_dir: Path) -> None:
    for way in ("up", "down"):
        (sql_dir / "migrations" / f"{MIGRATIONS[-1]}.{way}.sql").unlink()


@pytest.mark.parametrize(
    ("tamper", "version", "kind"),
    [(_change, 2, "changed"), (_remove, len(MIGRATIONS), "missing")],
)
def test_drift_is_reported_and_refused(
    empty_database: Database,
    sql_dir: Path,
    tamper: Callable[[Path], None],
    version: int,
    kind: str,
) -> None:
    """A changed or missing applied migration: status and check say so, up and down refuse."""
    migrator = Migrator(settings_for(empty_database, sql_dir))
    migrator.up()
    before = snapshot(empty_database)
    tamper(sql_dir)
    assert [(drift.version, drift.kind) for drift in migrator.status().drift] == [(version, kind)]
    assert not migrator.status().is_current
    (problem,) = migrator.check().problems
    assert problem.startswith(f"migration {version:04d}: ")
    assert migrator.check(skip_database=True).problems == []
    for refused in (migrator.up, lambda: migrator.down(0)):
        with pytest.raises(DriftError, match=f"migration {version:04d}") as caught:
            refused()
        assert "put the original files back" in str(caught.value)
    assert snapshot(empty_database) == before


def test_a_migration_skipped_below_an_applied_one_is_drift(empty_database: Database) -> None:
    """A record removed by hand must not make an old migration run again."""
    migrator = Migrator(settings_for(empty_database))
    migrator.up()
    empty_database.execute("DELETE FROM schema_migrations WHERE version = 2")
    with pytest.raises(DriftError, match="migration 0002: not applied"):
        migrator.up()


def test_a_failing_migration_leaves_nothing_of_itself(
    empty_database: Database, sql_dir: Path
) -> None:
    """One transaction each: what came before stays, the culprit is named with its SQLSTATE."""
    number = len(MIGRATIONS) + 1
    file = sql_dir / "migrations" / f"{number:04d}_broken.up.sql"
    file.write_text("CREATE TABLE half (a int); SELECT 1 / 0;")
    file.with_name(f"{number:04d}_broken.down.sql").write_text("DROP TABLE half;")
    with pytest.raises(MigrationError, match=rf"{number:04d}_broken failed \(SQLSTATE 22012\)"):
        Migrator(settings_for(empty_database, sql_dir)).up()
    assert versions(empty_database) == list(range(1, number))
    assert empty_database.rows("SELECT to_regclass('half')") == [(None,)]


def test_only_changed_functions_and_views_are_applied_again(
    empty_database: Database, sql_dir: Path
) -> None:
    """New and changed files are applied, unchanged ones are left alone, removed ones taken away."""
    migrator = Migrator(settings_for(empty_database, sql_dir))
    migrator.up()
    view = sql_dir / "views" / "tiers.up.sql"
    view.write_text("CREATE OR REPLACE VIEW tiers AS SELECT tier FROM retention_tiers;")
    view.with_name("tiers.down.sql").write_text("DROP VIEW tiers;")
    assert migrator.status().pending_scripts == ("views/tiers",)
    assert migrator.up().scripts == ["views/tiers"]
    assert empty_database.rows("SELECT count(*) FROM tiers") == [(3,)]

    view.write_text("CREATE OR REPLACE VIEW tiers AS SELECT tier, 1 AS one FROM retention_tiers;")
    assert migrator.up().scripts == ["views/tiers"]
    assert empty_database.rows("SELECT DISTINCT one FROM tiers") == [(1,)]

    view.unlink()
    view.with_name("tiers.down.sql").unlink()
    assert migrator.up().scripts == ["views/tiers"]
    assert empty_database.rows("SELECT to_regclass('tiers')") == [(None,)]
    assert migrator.status().is_current


def test_the_others_wait_while_one_applies(empty_database: Database) -> None:
    """Two processes queue for the lock; then one applies everything and the other nothing."""
    with contextlib.closing(empty_database.connect()) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (migration_session.ADVISORY_LOCK,))
        processes = [start_up(empty_database) for _ in range(2)]
        wait_until(
            lambda: (
                empty_database.rows(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'stacklens-migrate' AND wait_event = 'advisory'"
                )
                == [(2,)]
            ),
            60,
            "both processes wait for the lock",
        )
        assert empty_database.rows("SELECT to_regclass('schema_migrations')") == [(None,)]
        cursor.execute("SELECT pg_advisory_unlock(%s)", (migration_session.ADVISORY_LOCK,))
    outputs = sorted(map(finished, processes), key=len)
    everything = "".join(f"applied {label}\n" for label in [*MIGRATIONS, *SCRIPTS])
    last = f"The database is at version {len(MIGRATIONS)}.\n"
    assert outputs == [last, everything + last]


def test_waiting_has_an_end(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each round is told; then the holder is taken for stuck, and nothing was changed."""
    monkeypatch.setattr(migration_session, "LOCK_ROUND_S", 1)
    monkeypatch.setattr(migration_session, "LOCK_WAIT_S", 2)
    with contextlib.closing(empty_database.connect()) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (migration_session.ADVISORY_LOCK,))
        with pytest.raises(MigrationError, match="has held the migration lock"):
            Migrator(settings_for(empty_database)).up()
    name = empty_database.name
    assert caplog.messages == [
        f"Waiting for another process to migrate database {name} ({waited} s so far)"
        for waited in (0, 1)
    ]
    assert empty_database.rows("SELECT to_regclass('schema_migrations')") == [(None,)]


def test_databases_of_one_cluster_migrate_at_the_same_moment(
    make_database: Callable[[str], Database],
) -> None:
    """Both create and alter the same roles: neither fails, whoever wins."""
    databases = [make_database("template0") for _ in range(2)]
    reader = f"reader_{databases[0].name}"
    try:
        processes = [
            start_up(database, DB_READER_USER=reader) for _ in range(2) for database in databases
        ]
        for process in processes:
            finished(process)
        for database in databases:
            assert versions(database) == list(range(1, len(MIGRATIONS) + 1))
            statement = "SELECT has_table_privilege(%s, 'analytics_events', 'SELECT')"
            assert database.rows(statement, reader) == [(True,)]
    finally:
        for database in databases:
            database.execute(f'DROP OWNED BY "{reader}"')
        databases[0].execute(f'DROP ROLE "{reader}"')


def test_the_extension_may_be_there_beforehand_and_elsewhere(empty_database: Database) -> None:
    """An administrator may have created it in a schema of their choice."""
    empty_database.execute('CREATE SCHEMA "Their Extensions"')
    empty_database.execute('CREATE EXTENSION timescaledb SCHEMA "Their Extensions"')
    migrator = Migrator(settings_for(empty_database))
    assert migrator.up().applied == MIGRATIONS
    migrator.down(0)
    assert empty_database.rows("SELECT FROM pg_extension WHERE extname = 'timescaledb'") == [()]


def test_status_of_a_database_never_migrated(empty_database: Database) -> None:
    """Everything is pending, and looking changes nothing."""
    status = Migrator(settings_for(empty_database)).status()
    assert (status.version, status.applied) == (0, ())
    assert status.pending == tuple(MIGRATIONS)
    assert json.loads(json.dumps(status.as_dict()))["is_current"] is False
    assert empty_database.rows("SELECT to_regclass('schema_migrations')") == [(None,)]
