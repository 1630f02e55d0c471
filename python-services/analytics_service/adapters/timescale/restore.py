"""Restoring a dump into an empty database: one transaction, so that nobody ever sees half of it."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.backup import complaints
from analytics_service.adapters.timescale.client_programs import client_environment, find_client
from analytics_service.adapters.timescale.connecting import ConnectionParameters, parameters
from analytics_service.adapters.timescale.dump_files import Note, Watch, check_dump, read_dump
from analytics_service.adapters.timescale.errors import BackupError
from analytics_service.adapters.timescale.migration_session import ADVISORY_LOCK
from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.adapters.timescale.roles import ensure_roles
from analytics_service.adapters.timescale.table_rows import ROWS, table_names
from analytics_service.config import Settings

APPLICATION = "stacklens-restore"
NO_SUCH_DATABASE = "3D000"
HYPERTABLES = (
    "analytics_events",
    "analytics_metrics_1hour",
    "analytics_metrics_1min",
    "analytics_metrics_5min",
)
ROWS_LINE = "stacklens rows "

# Numbers given out between the backup and the loss are in links, in people's heads and in the headers of replays that
# the topic still holds: they must never come to mean something else. Dead letters may have been many.
_SKIP_NUMBERS = """
SELECT pg_catalog.setval(
    format('%I.%I', schemaname, sequencename)::regclass, (coalesce(last_value, 0) / gap + 1) * gap
)
FROM pg_catalog.pg_sequences, LATERAL (
    SELECT CASE sequencename WHEN 'analytics_dead_letters_id_seq' THEN 1000000000 ELSE 1000000 END AS gap
) AS gaps
WHERE schemaname = 'public' AND data_type = 'bigint'::regtype;
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A dump that may be restored, and by which program."""

    file: Path
    program: Path
    note: Note


@dataclass(frozen=True, slots=True)
class Restored:
    """What is there now."""

    rows: dict[str, int]
    hypertables: list[str]
    version: int
    applied: list[str]
    seconds: float


def plan_restore(settings: Settings, file: Path, checked: Watch) -> Plan:
    """Look whether `file` can be restored into the database of the settings; nothing is changed.

    Raises BackupError that says what to do: about a damaged or foreign file, a database that is missing or not empty,
    a user without the right, a missing program.
    """
    note = check_dump(file, checked)
    with contextlib.closing(_connect(settings)) as connection:
        major = _fit(connection, settings)
    return Plan(file, find_client("psql", major, settings.pg_client_directory), note)


def restore(settings: Settings, plan: Plan, fed: Watch) -> Restored:
    """Restore a dump and bring the schema up to date; `fed` is told how many bytes of the file were worked through.

    Processes of the product that start meanwhile wait, and those that run see an empty database until all is there.
    When anything fails, nothing was restored and it can be tried again. Raises BackupError, MigrationError and
    psycopg2 errors.
    """
    began = time.monotonic()
    params = _parameters(settings)
    with contextlib.closing(_connect(settings)) as connection:
        _keep_others_waiting(connection)
        _fit(connection, settings)
        ensure_roles(connection, settings, time.sleep)
        schema = _create_extension(connection, plan.note)
        rows = _feed(plan, params, schema, fed)
    if plan.note.rows is not None and rows != plan.note.rows:
        raise BackupError(
            f"restored, but not what was backed up: {_differences(plan.note.rows, rows)}"
        )
    report = Migrator(settings).up()
    return Restored(
        rows, _settle(settings), report.version, report.applied, time.monotonic() - began
    )


def emptying(settings: Settings) -> str:
    """The lines that make the database anew and empty, to be typed."""
    where = shlex.join(
        ["-h", settings.db_host, "-p", str(settings.db_port), "-U", settings.db_user]
    )
    name = shlex.quote(settings.db_name)
    return f"  dropdb {where} --force {name}\n  createdb {where} {name}"


def _parameters(settings: Settings) -> ConnectionParameters:
    return parameters(settings, application_name=APPLICATION, statement_timeout_ms=0)


def _connect(settings: Settings) -> Connection:
    params = _parameters(settings)
    try:
        return params.connect()
    except psycopg2.OperationalError as error:
        if _is_missing(settings):
            lines = emptying(settings).splitlines()
            raise BackupError(
                f"there is no database {settings.db_name}. Make it:\n{lines[-1]}"
            ) from None
        raise BackupError(f"no connection to the database: {params.why(error)}") from None


def _is_missing(settings: Settings) -> bool:
    """libpq gives no SQLSTATE for a failed connection: ask the server, by the database that is always there."""
    params = _parameters(settings)
    keeper = ConnectionParameters(
        params.host, params.port, "postgres", params.user, params.password, APPLICATION
    )
    try:
        with contextlib.closing(keeper.connect()) as connection, connection.cursor() as cur:
            cur.execute("SELECT FROM pg_catalog.pg_database WHERE datname = %s", (params.database,))
            return bool(cur.rowcount == 0)
    except psycopg2.OperationalError:
        return False  # the first error tells more


def _fit(connection: Connection, settings: Settings) -> int:
    """The server's major version, if the database is empty and the user may restore."""
    with connection, connection.cursor() as cur:
        cur.execute(
            "SELECT current_setting('is_superuser') = 'on', current_setting('server_version_num')::integer / 10000"
        )
        ((superuser, major),) = cur.fetchall()
        tables = table_names(cur)
    if tables:
        raise BackupError(
            f"database {settings.db_name} is not empty: {len(tables)} tables, such as {tables[0]}. Rows would be there"
            f" twice. Stop every process of StackLens, then make it anew and try again:\n{emptying(settings)}"
        )
    if not superuser:
        raise BackupError(
            f"{settings.db_user} is no superuser, and only one may fill TimescaleDB's own tables. Give DB_USER and "
            "DB_PASSWORD of one for this command, or for as long as it takes:\n"
            f"  ALTER ROLE {settings.db_user} SUPERUSER;"
        )
    return int(major)


def _keep_others_waiting(connection: Connection) -> None:
    """Take the migrations' lock: a process that starts waits for it, and then finds everything there."""
    with connection, connection.cursor() as cur:
        cur.execute("SELECT pg_try_advisory_lock(%s)", (ADVISORY_LOCK,))
        if cur.fetchone() != (True,):
            raise BackupError(
                "another process is migrating or restoring this database: stop every process of StackLens first"
            )


def _create_extension(connection: Connection, note: Note) -> str:
    """TimescaleDB of the version that the dump was made with, if that is known; its schema."""
    wanted = note.values.get("timescaledb_version")
    with connection, connection.cursor() as cur:
        statement: sql.Composable = sql.SQL("CREATE EXTENSION IF NOT EXISTS timescaledb")
        if wanted is not None:
            cur.execute(
                "SELECT FROM pg_catalog.pg_available_extension_versions WHERE name = 'timescaledb' AND version = %s",
                (wanted,),
            )
            if cur.rowcount == 0:
                raise BackupError(
                    f"the backup was made with TimescaleDB {wanted}, which this server does not have: restore it on a "
                    "server that has, then ALTER EXTENSION timescaledb UPDATE"
                )
            statement += sql.SQL(" VERSION {}").format(sql.Identifier(wanted))
        cur.execute(statement)
        cur.execute(
            "SELECT extnamespace::regnamespace::text FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'"
        )
        ((schema,),) = cur.fetchall()
        return str(schema)


def _feed(plan: Plan, params: ConnectionParameters, schema: str, fed: Watch) -> dict[str, int]:
    """Run the dump in one transaction of psql; the rows of each table before anybody else has seen them."""
    command = [
        str(plan.program),
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--tuples-only",
        "--no-align",
    ]
    command += ["--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-"]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as said,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
    ):
        with subprocess.Popen(
            command,
            env=client_environment(params),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=errors,
        ) as process:
            try:
                # psql that has met an error reads no more, and tells why.
                with contextlib.suppress(BrokenPipeError):
                    _write(process.stdin, plan, schema, fed)
                process.wait()
            except BaseException:
                process.kill()  # its transaction goes with it
                raise
        if process.returncode:
            raise BackupError(f"nothing was restored: psql failed:\n{complaints(errors)}")
        return _rows_in(said)


def _write(pipe: IO[bytes] | None, plan: Plan, schema: str, fed: Watch) -> None:
    assert pipe is not None
    with pipe:
        for piece in _script(plan, schema, fed):
            pipe.write(piece)


def _script(plan: Plan, schema: str, fed: Watch) -> Iterator[bytes]:
    """What TimescaleDB wants before and after stands in the same transaction: no session ever starts in between."""
    yield f"SELECT {schema}.timescaledb_pre_restore();\n".encode()
    yield from read_dump(plan.file, fed)
    yield f"\nSELECT {schema}.timescaledb_post_restore();\n".encode()
    yield _SKIP_NUMBERS.encode()
    yield f"SELECT '{ROWS_LINE}' || ({ROWS});\n".encode()


def _rows_in(said: IO[str]) -> dict[str, int]:
    said.seek(0)
    (line,) = (line for line in said if line.startswith(ROWS_LINE))
    return {str(name): int(rows) for name, rows in json.loads(line.removeprefix(ROWS_LINE)).items()}


def _settle(settings: Settings) -> list[str]:
    """Statistics for the planner, and the hypertables that must be there."""
    with contextlib.closing(_connect(settings)) as connection:
        connection.autocommit = True
        with connection.cursor() as cur:
            cur.execute("ANALYZE")
            cur.execute(
                "SELECT hypertable_name FROM timescaledb_information.hypertables ORDER BY 1"
            )
            found = [str(row[0]) for row in cur.fetchall()]
    missing = sorted(set(HYPERTABLES) - set(found))
    if missing:
        raise BackupError(f"restored, but these are no hypertables: {', '.join(missing)}")
    return found


def _differences(wanted: dict[str, int], found: dict[str, int]) -> str:
    names = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    return ", ".join(f"{n} {found.get(n)} rows, {wanted.get(n)} wanted" for n in names)
