"""`stacklens backup` and `stacklens restore` with PostgreSQL's own programs, and what can go wrong with each."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from analytics_service.entrypoints.cli.main import run
from devstack.api import Stack
from tests.client_programs import client_directory
from tests.database_contents import contents, objects
from tests.databases import Database, maintenance
from tests.integration.worker_process import STACKLENS
from tests.waiting import wait_until

both = pytest.mark.both_postgres

NAME = re.compile(r"test_[0-9a-f]{12}_\d{8}_\d{6}\.sql\.gz")
DAYS = 3
ROWS_A_DAY = 50


def fill(database: Database) -> None:
    """Rows over some days (so chunks), letters, an alert, and a moved sequence."""
    for day in range(DAYS):
        at = datetime.now(UTC) - timedelta(days=day)
        database.execute(
            """
            INSERT INTO analytics_events
                (timestamp, service, level, topic_incarnation, kafka_partition, kafka_offset, message, latency_ms)
            SELECT %s, 'service', 'info', 1, 0, n, E'tab\\t back\\\\slash \\\\. ü ' || n, n / 7.0
            FROM generate_series(1, %s) AS n
            """,
            at,
            ROWS_A_DAY,
        )
        for table in ("1min", "5min", "1hour"):
            database.execute(
                f"INSERT INTO analytics_metrics_{table} (timestamp, service, users_sketch)"  # noqa: S608
                " VALUES (%s, 's', '\\x00ff')",
                at,
            )
    database.execute(
        """
        INSERT INTO analytics_dead_letters
            (topic, topic_incarnation, kafka_partition, kafka_offset, reason, raw_value)
        SELECT 'events', 1, 0, n, 'invalid_json', '\\x0001fe'::bytea FROM generate_series(1, 7) AS n
        """
    )
    database.execute(
        "INSERT INTO topic_incarnations (topic, topic_incarnation, topic_id) VALUES ('events', 1, 'id')"
    )
    database.execute(
        """
        INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset)
        VALUES ('events', 1, 0, 42)
        """
    )


@dataclass
class Program:
    """`stacklens` on one database after the other, in this process."""

    directory: Path
    database: Database
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path, on: Database | None = None) -> tuple[int, str, str]:
        """Run a command; (status, output, errors)."""
        self.monkeypatch.setenv("DB_NAME", (on or self.database).name)
        self.capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err

    def backup(self, *arguments: str | Path) -> tuple[int, str, str]:
        """`stacklens backup` into the directory."""
        return self("backup", "--directory", self.directory, *arguments)

    def files(self) -> list[str]:
        """What is in the directory, hidden files aside."""
        if not self.directory.exists():
            return []
        return sorted(p.name for p in self.directory.iterdir() if not p.name.startswith("."))

    def taken(self) -> Path:
        """Take a backup that must succeed; its file."""
        status, _, errors = self.backup()
        assert status == 0, errors
        return self.directory / self.files()[-1]


@pytest.fixture
def programs(database: Database) -> Path:
    """The client programs that fit the server."""
    return client_directory(database.stack)


@pytest.fixture
def stacklens(
    database: Database,
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Program:
    """The program, on the test's filled database."""
    env = {**database.env, "APP_ENV": "test", "PG_CLIENT_DIRECTORY": str(programs)}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # no .env there
    fill(database)
    return Program(tmp_path / "backups", database, monkeypatch, capsys)


@pytest.fixture
def fake_pg_dump(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Put a shell script in the place of pg_dump; $REAL is the real one, and asked for its version it tells it."""

    def make(script: str) -> None:
        directory = tmp_path / "fake"
        directory.mkdir()
        real = programs / "pg_dump"
        text = f'#!/bin/sh\nREAL={real}\n[ "$1" = --version ] && exec "$REAL" --version\n{script}\n'
        (directory / "pg_dump").write_text(text)
        (directory / "pg_dump").chmod(0o755)
        monkeypatch.setenv("PG_CLIENT_DIRECTORY", str(directory))

    return make


# --- backup


@both
def test_a_backup_is_a_whole_dump_for_its_owner_alone(stacklens: Program, tmp_path: Path) -> None:
    status, output, errors = stacklens.backup("--output-json", tmp_path / "report.json")
    assert status == 0, errors
    (name,) = stacklens.files()
    assert NAME.fullmatch(name)
    assert name.startswith(stacklens.database.name)
    file = stacklens.directory / name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = gzip.decompress(file.read_bytes()).decode()
    assert "\n-- PostgreSQL database dump complete\n" in text
    assert text.count("tab\\t back") == DAYS * ROWS_A_DAY
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["file"] == str(file)
    assert report["bytes"] == file.stat().st_size
    assert (report["uploaded"], report["removed"]) == (False, [])
    assert report["note"]["rows"]["public.analytics_events"] == DAYS * ROWS_A_DAY
    assert report["note"]["rows"]["public.analytics_dead_letters"] == 7
    assert report["note"]["timescaledb_version"].startswith("2.")
    assert f"{file.stat().st_size:,} bytes" in output


def notes(database: Database) -> list[tuple[Any, ...]]:
    """File name and bytes of the backups that a database knows of."""
    return database.rows("SELECT file_name, bytes FROM backups_made ORDER BY finished_at")


@both
def test_the_database_notes_each_backup_and_a_restored_one_those_before_its_own(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    began = datetime.now(UTC)
    first = stacklens.taken()
    first = first.rename(first.with_name(f"{stacklens.database.name}_20250101_020000.sql.gz"))
    stacklens.database.execute("UPDATE backups_made SET file_name = %s", first.name)
    status, _, errors = stacklens.backup("--output-json", tmp_path / "report.json")
    assert status == 0, errors
    assert json.loads((tmp_path / "report.json").read_text())["noted"] is True
    files = [stacklens.directory / name for name in stacklens.files()]
    assert len(files) == 2
    known = [(file.name, file.stat().st_size) for file in files]
    assert notes(stacklens.database) == known
    ((oldest, newest),) = stacklens.database.rows(
        "SELECT min(finished_at), max(finished_at) FROM backups_made"
    )
    assert began < oldest < newest < datetime.now(UTC)
    assert stacklens("restore", files[1], "--confirm", on=empty_database)[0] == 0
    assert notes(empty_database) == known[:1]


def test_a_backup_that_cannot_be_noted_is_made_all_the_same_and_says_so(
    stacklens: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacklens.database.execute("ALTER TABLE backups_made ADD CHECK (bytes < 0) NOT VALID")
    stacklens.directory.mkdir()
    old = stacklens.directory / f"{stacklens.database.name}_20250101_020000.sql.gz"
    old.touch()
    os.utime(old, (0, 0))
    monkeypatch.setenv("BACKUP_UPLOAD_COMMAND", "test -f")
    status, output, errors = stacklens.backup("--output-json", tmp_path / "report.json")
    assert status == 1
    (name,) = stacklens.files()  # and the old one is gone
    assert f"the backup {stacklens.directory / name} was made, but not noted" in errors
    assert errors.count("the database could not note it") == 1
    assert "violates check constraint" in errors
    assert "read back and whole" in output
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["noted"], report["uploaded"], report["removed"]) == (False, True, [old.name])
    assert notes(stacklens.database) == []


def test_both_are_told_when_it_is_neither_noted_nor_uploaded(
    stacklens: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacklens.database.execute("ALTER TABLE backups_made ADD CHECK (bytes < 0) NOT VALID")
    monkeypatch.setenv("BACKUP_UPLOAD_COMMAND", "test -d")
    status, _, errors = stacklens.backup()
    assert status == 1
    assert "the database could not note it" in errors
    assert "BACKUP_UPLOAD_COMMAND failed" in errors


def test_a_schema_from_before_the_notes_is_backed_up_and_says_so(stacklens: Program) -> None:
    assert stacklens("migrate", "down", "--to", "15", "--confirm")[0] == 0
    status, output, errors = stacklens.backup()
    assert (status, errors) == (0, "")
    assert "not noted in the database, whose schema is older" in output


def test_only_old_files_of_this_name_are_removed(stacklens: Program, tmp_path: Path) -> None:
    name = stacklens.database.name
    stacklens.directory.mkdir()
    ages = {
        f"{name}_20250101_020000.sql.gz": 31,
        f"{name}_20250102.sql.gz": 30.01,  # cron's name
        f"{name}_20250103_020000.sql.gz": 29.9,
        f"{name}_20250101_keep.sql.gz": 400,
        f"{name}_20250101_020000.sql": 400,
        f"other_{name}_20250101_020000.sql.gz": 400,
        "notes.txt": 400,
    }
    for each, age in ages.items():
        path = stacklens.directory / each
        path.touch()
        past = time.time() - age * 86_400
        os.utime(path, (past, past))
    # Left by a run that was killed.
    (stacklens.directory / f"{name}_20250101_020000.sql.gz.part").touch()
    (stacklens.directory / "somebody-else.part").touch()
    status, output, _ = stacklens.backup(
        "--keep-days", "30", "--output-json", tmp_path / "report.json"
    )
    assert status == 0
    gone = [f"{name}_20250101_020000.sql.gz", f"{name}_20250102.sql.gz"]
    assert json.loads((tmp_path / "report.json").read_text())["removed"] == gone
    assert all(f"removed {each}" in output for each in gone)
    left = [each for each in stacklens.files() if not NAME.fullmatch(each) or "2025" in each]
    assert left == sorted({*ages, "somebody-else.part"} - set(gone))
    assert len(stacklens.files()) == len(left) + 1


def test_one_at_a_time(stacklens: Program) -> None:
    stacklens.directory.mkdir()
    with (stacklens.directory / ".backup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, _, errors = stacklens.backup()
        assert (status, stacklens.files()) == (1, [])
        assert f"another backup into {stacklens.directory} is under way" in errors
    assert stacklens.backup()[0] == 0


def test_it_is_uploaded(
    stacklens: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there with space"
    there.mkdir()
    monkeypatch.setenv("BACKUP_UPLOAD_COMMAND", f"cp --target-directory='{there}'")
    status, _, errors = stacklens.backup("--output-json", tmp_path / "report.json")
    assert status == 0, errors
    assert [each.name for each in there.iterdir()] == stacklens.files()
    assert json.loads((tmp_path / "report.json").read_text())["uploaded"] is True


def test_a_failed_upload_fails_but_the_backup_stays_and_old_ones_too(
    stacklens: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacklens.directory.mkdir()
    old = stacklens.directory / f"{stacklens.database.name}_20250101_020000.sql.gz"
    old.touch()
    os.utime(old, (0, 0))
    monkeypatch.setenv("BACKUP_UPLOAD_COMMAND", "test -d")
    status, _, errors = stacklens.backup("--output-json", tmp_path / "report.json")
    assert status == 1
    assert "BACKUP_UPLOAD_COMMAND failed with status 1" in errors
    assert len(stacklens.files()) == 2
    assert json.loads((tmp_path / "report.json").read_text())["uploaded"] is False


def test_the_password_is_on_no_command_line_and_in_no_output(
    stacklens: Program, fake_pg_dump: Callable[[str], None], tmp_path: Path
) -> None:
    """It travels in the environment; everything else could be read by `ps`, or from a log."""
    fake_pg_dump(
        f'echo "$@" >"{tmp_path}/seen"; printenv PGPASSWORD >"{tmp_path}/password"; exec "$REAL" "$@"'
    )
    status, output, errors = stacklens.backup()
    assert status == 0, errors
    password = stacklens.database.stack.db_password
    assert (tmp_path / "password").read_text().strip() == password
    dump = gzip.decompress((stacklens.directory / stacklens.files()[0]).read_bytes()).decode()
    for text in ((tmp_path / "seen").read_text(), output, errors, dump):
        assert password not in text


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param('echo "pg_dump: error: no luck" >&2; exit 1', "no luck", id="fails"),
        pytest.param(
            'for last; do :; done; printf -- "-- PostgreSQL database dump\\n" | gzip >"$last"',
            "is cut short",
            id="ends-early",
        ),
        pytest.param(
            '"$REAL" "$@" && for last; do :; done; truncate -s -20000 "$last" && exit 0',
            "is damaged",
            id="loses-its-tail",
        ),
    ],
)
def test_half_a_dump_is_no_backup(
    stacklens: Program, fake_pg_dump: Callable[[str], None], script: str, told: str
) -> None:
    fake_pg_dump(script)
    status, output, errors = stacklens.backup()
    assert (status, output, stacklens.files()) == (1, "", [])
    assert told in errors


def test_ended_in_the_middle_it_leaves_nothing(
    stacklens: Program, fake_pg_dump: Callable[[str], None], tmp_path: Path
) -> None:
    # Written whole before it has its name: it is looked for while it is being made.
    fake_pg_dump(
        f'echo $$ >"{tmp_path}/new" && mv "{tmp_path}/new" "{tmp_path}/pid"; exec tail -f /dev/null'
    )
    with subprocess.Popen(
        [STACKLENS, "backup", "--directory", stacklens.directory],
        env={**os.environ, "DB_NAME": stacklens.database.name},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until((tmp_path / "pid").exists, 60, "pg_dump runs")
        (partial,) = stacklens.files()
        assert partial.endswith(".part")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130
    assert stacklens.files() == []
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: not Path(f"/proc/{child}").exists(), 60, "pg_dump is ended too")


def test_programs_that_are_too_old_are_named(
    stacklens: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "old"
    directory.mkdir()
    for name in ("pg_dump", "psql"):
        (directory / name).write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) 9.6.24"\n')
        (directory / name).chmod(0o755)
    file = stacklens.taken()
    monkeypatch.setenv("PG_CLIENT_DIRECTORY", str(directory))
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("backup", "--directory", tmp_path),
        ("restore", file, "--confirm"),
    )
    for arguments in commands:
        empty = Database(stacklens.database.stack, "postgres")
        on = empty if arguments[0] == "restore" else None
        status, _, errors = stacklens(*arguments, on=on)
        assert status == 1
        assert f"{directory}/" in errors
        assert "(9)" in errors
        assert "postgresql-client-1" in errors
    (directory / "pg_dump").unlink()
    assert "Found: none" in stacklens.backup()[2]


def test_a_program_of_the_server_s_version_is_taken_before_a_newer_one(
    stacklens: Program, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pg_dump 17 writes does not run on a server 15."""
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "pg_dump").write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 99.1"\n')
    (newer / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PG_CLIENT_DIRECTORY", "")
    monkeypatch.setenv("PATH", f"{newer}:{os.environ['PATH']}")
    monkeypatch.setattr(
        "analytics_service.adapters.timescale.client_programs.VERSIONED", (str(programs),)
    )
    assert stacklens.backup()[0] == 0
    assert len(stacklens.files()) == 1


# --- restore


def sequences(database: Database) -> dict[str, int]:
    """The next number of each sequence, at least."""
    return dict(
        database.rows(
            "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
        )
    )


def usable(database: Database) -> None:
    """Rows of new days find a chunk, the reader reads and does not write, and nothing is pending."""
    for table in ("analytics_events", "analytics_metrics_1min"):
        extra = ", level, topic_incarnation, kafka_partition, kafka_offset"
        values = ", 'info', 9, 9, 9"
        if table != "analytics_events":
            extra = values = ""
        database.execute(
            f"INSERT INTO {table} (timestamp, service{extra}) VALUES (now() - interval '20 days', 'new'{values})"  # noqa: S608
        )
        assert database.rows(f"SELECT count(*) FROM ONLY {table}") == [(0,)]  # noqa: S608
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE stacklens_reader")
        cursor.execute("SELECT count(*) FROM analytics_events")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM analytics_events")
    assert database.rows("SHOW timescaledb.restoring") == [("off",)]


@both
def test_what_was_backed_up_is_there_again(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    before, made = contents(stacklens.database), objects(stacklens.database)
    file = stacklens.taken()
    status, output, errors = stacklens(
        "restore", file, "--confirm", "--output-json", tmp_path / "report.json", on=empty_database
    )
    assert status == 0, errors
    assert contents(empty_database) == before
    assert objects(empty_database) == made
    assert "as many rows as were backed up, 4 hypertables" in output
    assert re.search(rf"public\.analytics_events +{DAYS * ROWS_A_DAY}\n", output)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rows"]["public.analytics_dead_letters"] == 7
    assert report["applied"] == []
    # Numbers given out since the backup are never given to anything else.
    numbers = sequences(empty_database)
    assert numbers.pop("analytics_dead_letters_id_seq") == 1_000_000_000
    assert set(numbers.values()) == {1_000_000}
    usable(empty_database)
    assert stacklens("migrate", "status", on=empty_database)[0] == 0


def test_sequences_skip_a_round_number_beyond_what_they_had(
    stacklens: Program, empty_database: Database
) -> None:
    stacklens.database.execute("SELECT setval('analytics_alerts_id_seq', 3000017)")
    stacklens("restore", stacklens.taken(), "--confirm", on=empty_database)
    assert sequences(empty_database)["analytics_alerts_id_seq"] == 4_000_000


def test_plain_sql_is_restored_as_well(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    """Also without what `stacklens backup` notes behind it: then nobody knows how many rows there should be."""
    text = gzip.decompress(stacklens.taken().read_bytes())
    plain = tmp_path / "plain.sql"
    plain.write_bytes(text[: text.rindex(b"-- StackLens backup: ")])
    status, output, errors = stacklens("restore", plain, "--confirm", on=empty_database)
    assert status == 0, errors
    assert contents(empty_database) == contents(stacklens.database)
    assert "nobody counted its rows" in output


def test_without_confirm_everything_is_looked_at_and_nothing_done(
    stacklens: Program, empty_database: Database
) -> None:
    status, output, errors = stacklens("restore", stacklens.taken(), on=empty_database)
    assert status == 2
    assert "is whole: database " in output
    assert "add --confirm" in errors
    assert contents(empty_database) == {}


def test_a_database_that_is_not_empty_is_refused(stacklens: Program) -> None:
    file, before = stacklens.taken(), contents(stacklens.database)
    for confirm in ([], ["--confirm"]):
        status, _, errors = stacklens("restore", file, *confirm)
        assert status == 1
        assert re.search(r"is not empty: \d\d tables, such as public\.\w+\. Rows", errors)
        name, stack = stacklens.database.name, stacklens.database.stack
        where = f"-h {stack.db_host} -p {stack.db_port} -U {stack.db_user}"
        assert f"  dropdb {where} --force {name}\n  createdb {where} {name}\n" in errors
    assert contents(stacklens.database) == before


def test_a_table_of_somebody_else_is_enough_to_refuse(
    stacklens: Program, empty_database: Database
) -> None:
    empty_database.execute("CREATE TABLE theirs ()")
    status, _, errors = stacklens("restore", stacklens.taken(), "--confirm", on=empty_database)
    assert status == 1
    assert "1 tables, such as public.theirs" in errors


def test_a_missing_database_is_told_with_the_line_that_makes_it(stacklens: Program) -> None:
    missing = Database(stacklens.database.stack, "not_there")
    status, _, errors = stacklens("restore", stacklens.taken(), "--confirm", on=missing)
    assert status == 1
    assert re.search(
        r"there is no database not_there\. Make it:\n  createdb -h .* not_there\n", errors
    )


def test_no_superuser_may_restore(
    stacklens: Program, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stacklens.taken()
    monkeypatch.setenv("DB_USER", "stacklens_admin")
    with closing(empty_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = 'stacklens_admin'")
        assert cursor.rowcount == 1
    from analytics_service.config import load_settings

    settings = load_settings({**stacklens.database.env, "APP_ENV": "test"}, env_file=None)
    monkeypatch.setenv("DB_PASSWORD", settings.admin_password)
    status, _, errors = stacklens("restore", file, "--confirm", on=empty_database)
    assert status == 1
    assert "stacklens_admin is no superuser" in errors


@pytest.mark.slow
def test_a_new_cluster_has_no_roles_and_gets_them(
    stacklens: Program, private_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dump grants rights to roles; roles belong to the cluster and are in no dump."""
    file, target = stacklens.taken(), Database(private_stack, private_stack.db_name)
    assert target.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE 'stacklens_%%'") == [
        (private_stack.db_user,)
    ]
    for name, value in target.env.items():
        monkeypatch.setenv(name, value)
    status, _, errors = stacklens("restore", file, "--confirm", on=target)
    assert status == 0, errors
    assert contents(target) == contents(stacklens.database)
    usable(target)


def damaged(file: Path) -> Iterator[tuple[str, bytes, str]]:
    """Names, bytes and complaints of files that are no backups any more."""
    whole = file.read_bytes()
    text = gzip.decompress(whole)
    end = text.index(b"\n-- PostgreSQL database dump complete\n")
    yield "cut.sql.gz", whole[: len(whole) // 2], "is damaged"
    yield "bit.sql.gz", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], "is damaged"
    yield "short.sql", text[: end - 100], "is cut short"
    yield "short.sql.gz", gzip.compress(text[: end - 100]), "is cut short"
    yield "other.sql", b"SELECT 1;\n", "is no dump"
    yield "custom.dump", b"PGDMP\x01\x0e", "custom format"
    create = b"CREATE DATABASE x;\n\\connect x\n"
    yield "create.sql", text.replace(b"\nSET ", b"\n" + create + b"SET ", 1), "--create"


def test_damaged_and_foreign_files_are_refused_before_anything_is_done(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    for name, data, told in damaged(stacklens.taken()):
        path = tmp_path / name
        path.write_bytes(data)
        status, _, errors = stacklens("restore", path, "--confirm", on=empty_database)
        assert status == 1, name
        assert told in errors, name
        assert str(path) in errors, name
    status, _, errors = stacklens("restore", tmp_path / "absent", on=empty_database)
    assert (status, "No such file" in errors) == (1, True)
    assert (
        empty_database.rows("SELECT extname FROM pg_extension WHERE extname = 'timescaledb'") == []
    )


@both
def test_after_a_failure_in_the_middle_nothing_is_there_and_it_can_be_tried_again(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    file = stacklens.taken()
    text = gzip.decompress(file.read_bytes())
    end = text.index(b"\n-- PostgreSQL database dump complete\n")
    broken = tmp_path / "broken.sql"
    broken.write_bytes(text[:end] + b"\nSELECT 1 / 0;\n" + text[end:])
    status, _, errors = stacklens("restore", broken, "--confirm", on=empty_database)
    assert status == 1
    assert "nothing was restored" in errors
    assert "division by zero" in errors
    assert contents(empty_database) == {}
    assert empty_database.rows("SHOW timescaledb.restoring") == [("off",)]
    assert stacklens("restore", file, "--confirm", on=empty_database)[0] == 0
    assert contents(empty_database) == contents(stacklens.database)


def test_fewer_rows_than_were_backed_up_are_noticed(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    """Such as a dump that somebody has edited."""
    text = gzip.decompress(stacklens.taken().read_bytes())
    edited = tmp_path / "edited.sql"
    edited.write_bytes(re.sub(rb"\n7\tevents\t1\t0\t7\t[^\n]*", b"", text, count=1))
    status, _, errors = stacklens("restore", edited, "--confirm", on=empty_database)
    assert status == 1
    assert "public.analytics_dead_letters 6 rows, 7 wanted" in errors


def test_a_version_of_timescaledb_that_is_not_there(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    text = gzip.decompress(stacklens.taken().read_bytes())
    other = tmp_path / "other.sql"
    other.write_bytes(
        re.sub(rb'"timescaledb_version": "[^"]*"', b'"timescaledb_version": "1.7.5"', text)
    )
    status, _, errors = stacklens("restore", other, "--confirm", on=empty_database)
    assert status == 1
    assert "made with TimescaleDB 1.7.5" in errors
    assert contents(empty_database) == {}


def test_one_restore_or_migration_at_a_time(stacklens: Program, empty_database: Database) -> None:
    file = stacklens.taken()
    with closing(empty_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (0x57AC_C0DE_0001,))
        status, _, errors = stacklens("restore", file, "--confirm", on=empty_database)
    assert status == 1
    assert "another process is migrating or restoring" in errors
    assert contents(empty_database) == {}


# --- the checklist's own lines


def shell(line: str, database: Database, programs: Path, directory: Path) -> str:
    """Run a line as an operator types it, the password in ~/.pgpass; what it wrote to standard error."""
    stack = database.stack
    pgpass = directory / ".pgpass"
    pgpass.write_text(f"{stack.db_host}:{stack.db_port}:*:{stack.db_user}:{stack.db_password}\n")
    pgpass.chmod(0o600)
    done = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", line],
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(directory),
            "PGPASSFILE": str(pgpass),
            "PGPORT": str(stack.db_port),  # theirs is 5432
        },
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@both
def test_the_checklist_s_lines_work_as_typed(
    stacklens: Program,
    programs: Path,
    make_database: Callable[[str], Database],
    tmp_path: Path,
) -> None:
    """pg_dump | gzip, dropdb and createdb, zcat | psql: no error, nothing different, and the schema is complete."""
    source, target = stacklens.database, make_database("template0")
    at = f"-h {source.stack.db_host} -U {source.stack.db_user}"
    before, made = contents(source), objects(source)
    shell(f"pg_dump {at} -d {source.name} | gzip > backup.sql.gz", source, programs, tmp_path)
    shell(f"dropdb {at} --force {target.name}", source, programs, tmp_path)
    shell(f"createdb {at} {target.name}", source, programs, tmp_path)
    said = shell(f"zcat backup.sql.gz | psql {at} -d {target.name}", source, programs, tmp_path)
    assert "ERROR" not in said
    assert contents(target) == before
    # A process that starts takes away what TimescaleDB may have added to the chunks a second time.
    status, output, errors = stacklens("migrate", "up", on=target)
    assert (status, errors) == (0, "")
    assert "applied" not in output
    assert objects(target) == made
    usable(target)
    # Not compressed, as the checklist has it too.
    shell(f"pg_dump {at} -d {source.name} > backup.sql", source, programs, tmp_path)
    shell(f"dropdb {at} --force {target.name}", source, programs, tmp_path)
    shell(f"createdb {at} {target.name}", source, programs, tmp_path)
    said = shell(f"psql {at} -d {target.name} < backup.sql", source, programs, tmp_path)
    assert "ERROR" not in said
    assert contents(target) == before


@both
def test_a_plain_restore_whose_session_forgot_what_it_knew_is_put_right(
    stacklens: Program,
    programs: Path,
    make_database: Callable[[str], Database],
    tmp_path: Path,
) -> None:
    source, target = stacklens.database, make_database("template0")
    at = f"-h {source.stack.db_host} -U {source.stack.db_user}"
    before, made = contents(source), objects(source)
    shell(f"pg_dump {at} -d {source.name} > backup.sql", source, programs, tmp_path)
    whole = (tmp_path / "backup.sql").read_text()
    # The rows are in, the constraints and indexes are not: a new session stands for the one that forgot.
    middle = whole.index("ADD CONSTRAINT", whole.rindex("\n\\.\n"))
    middle = whole.rindex("\n\\.\n", 0, middle) + len("\n\\.\n")
    (tmp_path / "rows.sql").write_text(whole[:middle])
    (tmp_path / "rest.sql").write_text(
        "SELECT set_config('search_path', '', false);\n" + whole[middle:]
    )
    for part in ("rows.sql", "rest.sql"):
        said = shell(f"psql {at} -d {target.name} < {part}", source, programs, tmp_path)
        assert "ERROR" not in said
    assert contents(target) == before
    assert len(objects(target)) > len(made)
    new_event = """
        INSERT INTO analytics_events (timestamp, service, level, topic_incarnation, kafka_partition, kafka_offset)
        VALUES (now(), 'new', 'info', 9, 9, 8)
    """
    with pytest.raises(
        psycopg2.errors.FeatureNotSupported, match="invalid INSERT on the root table"
    ):
        target.execute(new_event)
    status, output, errors = stacklens("migrate", "up", on=target)
    assert (status, errors) == (0, "")
    assert "_hyper_1_1_chunk refused rows" in output
    assert (
        "had an index twice: _timescaledb_internal._hyper_1_1_chunk_analytics_events_timestamp_idx_1"
        in output
    )
    assert objects(target) == made
    assert contents(target) == before
    target.execute(new_event)
    usable(target)
    status, output, errors = stacklens("migrate", "up", on=target)
    assert (status, errors) == (0, "")
    assert "mended" not in output


def test_a_plain_dump_is_what_stacklens_restores_and_the_other_way_round(
    stacklens: Program,
    programs: Path,
    make_database: Callable[[str], Database],
    tmp_path: Path,
) -> None:
    source, one, two = stacklens.database, make_database("template0"), make_database("template0")
    at = f"-h {source.stack.db_host} -U {source.stack.db_user}"
    shell(f"pg_dump {at} -d {source.name} | gzip > plain.sql.gz", source, programs, tmp_path)
    assert stacklens("restore", tmp_path / "plain.sql.gz", "--confirm", on=one)[0] == 0
    shutil.copy(stacklens.taken(), tmp_path / "ours.sql.gz")
    said = shell(f"zcat ours.sql.gz | psql {at} -d {two.name}", source, programs, tmp_path)
    assert "ERROR" not in said
    assert contents(one) == contents(two) == contents(source)


@both
def test_archiving_works_on_what_was_restored(stacklens: Program, empty_database: Database) -> None:
    assert stacklens("restore", stacklens.taken(), "--confirm", on=empty_database)[0] == 0
    status, output, errors = stacklens("archive", on=empty_database)
    assert (status, errors) == (0, "")
    assert "dropped" in output or "nothing to drop" in output
    oldest: Any = empty_database.rows("SELECT min(timestamp) FROM analytics_events")[0][0]
    assert oldest >= datetime.now(UTC) - timedelta(days=2)
    maintenance(empty_database.stack)  # the server lives
