"""Taking a backup: `pg_dump` on a snapshot whose rows were counted, checked from end to end before it gets its name."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.client_programs import client_environment, find_client
from analytics_service.adapters.timescale.connecting import ConnectionParameters, parameters
from analytics_service.adapters.timescale.dump_files import Watch, append_note, check_dump
from analytics_service.adapters.timescale.errors import BackupError
from analytics_service.adapters.timescale.table_rows import count_rows
from analytics_service.config import Settings

APPLICATION = "stacklens-backup"
LOOK_EVERY_S = 0.2
LOCK_WAIT = "60s"
PARTIAL = ".part"
DAY_S = 86_400
MOST_TOLD = 2_000

_FACTS = """
SELECT current_setting('server_version'), current_setting('server_version_num')::integer / 10000,
    (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'),
    CASE WHEN to_regclass('public.schema_migrations') IS NOT NULL THEN
        (xpath('/row/n/text()', query_to_xml(
            'SELECT max(version) AS n FROM public.schema_migrations', false, true, '')))[1]::text::integer END
"""


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup: the file, and what is noted in it."""

    file: Path
    size: int
    seconds: float
    note: dict[str, Any]


def file_pattern(database: str) -> re.Pattern[str]:
    """The names of this database's backups, by this command (with a time) or by cron's line (a date)."""
    return re.compile(re.escape(_stem(database)) + r"_\d{8}(_\d{6})?\.sql\.gz")


@contextlib.contextmanager
def backup_directory(directory: Path) -> Iterator[None]:
    """The directory, made if need be, and nobody else's until the end. Raises BackupError while another has it."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / ".backup.lock").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup into {directory} is under way") from None
        yield


def take_backup(
    settings: Settings, directory: Path, now: datetime, dumped: Watch, checked: Watch
) -> Backup:
    """Dump the database into `directory`, which the caller holds (see `backup_directory`).

    Consistent whatever is written meanwhile, and nobody has to wait for it but who drops or alters tables. `dumped`
    and `checked` are told how many bytes are written and verified. Raises BackupError, psycopg2 errors or OSError;
    then there is no file.
    """
    began = time.monotonic()
    params = parameters(
        settings,
        application_name=APPLICATION,
        statement_timeout_ms=0,
        session={"idle_in_transaction_session_timeout": "0", "lock_timeout": LOCK_WAIT},
    )
    final = directory / f"{_stem(settings.db_name)}_{now.astimezone(UTC):%Y%m%d_%H%M%S}.sql.gz"
    partial = final.with_name(final.name + PARTIAL)
    _remove_leftovers(settings.db_name, directory)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with contextlib.closing(params.connect()) as connection:
            connection.set_session(ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
            note, major = _facts(connection, settings.db_name, now)
            program = find_client("pg_dump", major, settings.pg_client_directory)
            _dump(program, params, _snapshot(connection), partial, dumped)
        append_note(partial, note)
        check_dump(partial, checked)
        _make_durable(partial, final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return Backup(final, final.stat().st_size, time.monotonic() - began, note)


def remove_old(database: str, directory: Path, keep_days: int, now: datetime) -> list[str]:
    """Remove this database's backups that were written more than `keep_days` ago; their names."""
    pattern, limit = file_pattern(database), now.timestamp() - keep_days * DAY_S
    old = [
        path
        for path in sorted(directory.iterdir())
        if pattern.fullmatch(path.name) and path.is_file() and path.stat().st_mtime < limit
    ]
    for path in old:
        path.unlink()
    return [path.name for path in old]


def upload(command: str, file: Path) -> None:
    """Run `command` with the file's name behind it. Raises BackupError when it fails."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'{command} "$1"', "upload", str(file)],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise BackupError(
            f"the backup {file} was made, but BACKUP_UPLOAD_COMMAND failed with status {done.returncode}"
        )


def _stem(database: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", database)


def _remove_leftovers(database: str, directory: Path) -> None:
    """What a killed run left; nobody writes to it any more, for the directory is ours."""
    pattern = file_pattern(database)
    for path in directory.glob(f"*{PARTIAL}"):
        if pattern.fullmatch(path.name.removesuffix(PARTIAL)):
            path.unlink()


def _facts(connection: Connection, database: str, now: datetime) -> tuple[dict[str, Any], int]:
    """What is noted behind the dump, and the server's major version."""
    with connection.cursor() as cur:
        cur.execute(_FACTS)
        ((version, major, timescaledb, schema),) = cur.fetchall()
        rows = count_rows(cur)
    note = {
        "database": database,
        "taken_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "server_version": version,
        "timescaledb_version": timescaledb,
        "schema_version": schema,
        "rows": rows,
    }
    return note, int(major)


def _snapshot(connection: Connection) -> str:
    with connection.cursor() as cur:
        cur.execute("SELECT pg_export_snapshot()")
        ((name,),) = cur.fetchall()
        return str(name)


def _dump(
    program: Path, params: ConnectionParameters, snapshot: str, partial: Path, dumped: Watch
) -> None:
    command: list[str | Path] = [
        program,
        "--no-password",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={LOCK_WAIT}",
    ]
    command += ["--format=plain", "--compress=6", "--file", partial]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(
            command, env=client_environment(params), stdin=subprocess.DEVNULL, stderr=errors
        ) as process:
            try:
                while process.poll() is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(LOOK_EVERY_S)
                    dumped(partial.stat().st_size)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise BackupError(f"pg_dump failed:\n{complaints(errors)}")


def complaints(errors: IO[str]) -> str:
    """What a client program wrote to `errors`, without the warnings that every dump of TimescaleDB gives."""
    errors.seek(0)
    lines = errors.read().splitlines()
    told = [line for line in lines if "ERROR" in line or "error:" in line or "FATAL" in line]
    return "\n".join(told or lines)[-MOST_TOLD:] or "(it said nothing)"


def _make_durable(partial: Path, final: Path) -> None:
    """The name comes last, and nothing of the file is in memory alone by then."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(final)
    directory = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
