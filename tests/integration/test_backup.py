"""`stacklens backup` with PostgreSQL's own programs, and what can go wrong with it."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Database
from tests.integration.backups import DAYS, NAME, ROWS_A_DAY, Program
from tests.integration.worker_process import STACKLENS
from tests.waiting import wait_until

both = pytest.mark.both_postgres


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
