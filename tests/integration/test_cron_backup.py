"""cron/backup.sh with a real pg_dump: only `docker-compose exec` is stood in for, by running the command right here."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from analytics_service.entrypoints.cli.main import run
from tests.client_programs import client_directory
from tests.database_contents import contents
from tests.databases import Database
from tests.integration.backups import fill

# The files are named after the day.
pytestmark = pytest.mark.usefixtures("same_day")

JOBS = Path(__file__).resolve().parents[2] / "cron"
COMPOSE = """#!/bin/sh
# docker-compose -f FILE exec -T postgres sh -c COMMAND
[ "$3 $4 $5 $6 $7" = "exec -T postgres sh -c" ] || exit 99
exec sh -c "$8"
"""


@dataclass
class Cron:
    """The job, as cron runs it."""

    database: Database
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, **changes: str) -> int:
        """Run it; its exit status."""
        job = self.checkout / "cron" / "backup.sh"
        done = subprocess.run(["/bin/bash", job], env={**self.env, **changes}, check=False)
        return done.returncode

    @property
    def checkout(self) -> Path:
        """A checkout with nothing but the jobs in it: nobody's .env.prod."""
        return self.home / "checkout"

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.home / "logs" / "backup.log").read_text()

    def files(self) -> list[str]:
        """What is in the directory of backups, hidden files aside."""
        found = (self.home / "backups").glob("[!.]*")
        return sorted(path.name for path in found)


@pytest.fixture
def cron(database: Database, tmp_path: Path) -> Cron:
    """The job, whose alerts go to a file."""
    fill(database)
    shutil.copytree(JOBS, tmp_path / "checkout" / "cron")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker-compose").write_text(COMPOSE)
    (programs / "notify_alert").write_text(f'#!/bin/sh\necho "$*" >>"{tmp_path}/told"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    stack = database.stack
    env = {
        "PATH": f"{programs}:{client_directory(stack)}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "STACKLENS_LOGS": str(tmp_path / "logs"),
        "BACKUP_DIRECTORY": str(tmp_path / "backups"),
        "DB_USER": stack.db_user,
        "DB_NAME": database.name,
        "PGHOST": stack.db_host,
        "PGPORT": str(stack.db_port),
        "PGPASSWORD": stack.db_password,
    }
    return Cron(database, tmp_path, env)


def test_its_file_is_what_stacklens_restores(
    cron: Cron, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = cron.home / "there"
    there.mkdir()
    assert cron(BACKUP_UPLOAD_COMMAND=f"cp -t {there}") == 0, cron.log
    (name,) = cron.files()
    assert name == time.strftime("stacklens_%Y%m%d.sql.gz")
    assert [path.name for path in there.iterdir()] == [name]
    programs = client_directory(cron.database.stack)
    for key, value in {**empty_database.env, "PG_CLIENT_DIRECTORY": str(programs)}.items():
        monkeypatch.setenv(key, value)
    assert run(["restore", str(cron.home / "backups" / name), "--confirm"]) == 0
    assert contents(empty_database) == contents(cron.database)


def test_its_settings_are_taken_from_the_file_too(cron: Cron) -> None:
    there, elsewhere = cron.home / "a place", cron.home / "elsewhere"
    backups = cron.home / "backups"
    for directory in (there, elsewhere, backups):
        directory.mkdir()
    old = backups / "stacklens_20250101.sql.gz"
    old.touch()
    past = time.time() - 5 * 86_400
    os.utime(old, (past, past))
    (cron.checkout / ".env.prod").write_text(
        f"""DB_PASSWORD=$(touch {cron.home}/run)
BACKUP_DAYS=3  # short
BACKUP_DIRECTORY={elsewhere}
# BACKUP_UPLOAD_COMMAND=false
BACKUP_UPLOAD_COMMAND='cp -t "{there}"'
""",
        encoding="utf-8",
    )
    assert cron() == 0, cron.log
    (name,) = cron.files()
    assert name != old.name
    assert [path.name for path in there.iterdir()] == [name]
    # The environment wins; and nothing of the file is run.
    assert list(elsewhere.iterdir()) == []
    assert cron(BACKUP_UPLOAD_COMMAND=f"cp -t {elsewhere}") == 0, cron.log
    assert [path.name for path in elsewhere.iterdir()] == [name]
    assert not (cron.home / "run").exists()


def test_the_database_notes_it_and_notes_the_same_name_once(cron: Cron) -> None:
    query = "SELECT file_name, bytes, finished_at FROM backups_made"
    assert cron() == 0, cron.log
    ((_, _, first),) = cron.database.rows(query)
    assert cron() == 0, cron.log
    ((name, size, second),) = cron.database.rows(query)
    assert [name] == cron.files()
    assert size == (cron.home / "backups" / name).stat().st_size
    assert first < second


def test_a_backup_that_cannot_be_noted_is_kept_and_told(cron: Cron) -> None:
    cron.database.execute("ALTER TABLE backups_made ADD CHECK (bytes < 0) NOT VALID")
    directory = cron.home / "backups"
    directory.mkdir()
    old = directory / "stacklens_20250101.sql.gz"
    old.touch()
    os.utime(old, (0, 0))
    there = cron.home / "there"
    there.mkdir()
    assert cron(BACKUP_UPLOAD_COMMAND=f"cp -t {there}") == 1
    # All that comes after it was done.
    (name,) = cron.files()
    assert name != old.name
    assert [path.name for path in there.iterdir()] == [name]
    told = (cron.home / "told").read_text()
    assert "the backup was made, but the database could not note it" in told
    assert "violates check constraint" in cron.log


def test_it_removes_only_old_files_of_its_own(cron: Cron) -> None:
    directory = cron.home / "backups"
    directory.mkdir()
    ages = {
        "stacklens_20250101.sql.gz": 31,
        "stacklens_20250101_020000.sql.gz": 31,  # of `stacklens backup`
        "stacklens_20250102.sql.gz": 29.5,
        "stacklens_before_upgrade.sql.gz": 400,
        "other_20250101.sql.gz": 400,
    }
    for name, age in ages.items():
        (directory / name).touch()
        past = time.time() - age * 86_400
        os.utime(directory / name, (past, past))
    assert cron() == 0, cron.log
    left = set(cron.files()) - {time.strftime("stacklens_%Y%m%d.sql.gz")}
    assert left == set(ages) - {"stacklens_20250101.sql.gz", "stacklens_20250101_020000.sql.gz"}


def test_a_failed_dump_is_told_and_leaves_nothing(cron: Cron) -> None:
    assert cron(DB_NAME="not_there") == 1
    assert cron.files() == []
    assert "the backup failed" in (cron.home / "told").read_text()


def test_not_while_stacklens_takes_one(cron: Cron) -> None:
    (cron.home / "backups").mkdir()
    with (cron.home / "backups" / ".backup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cron() == 1
    assert cron.files() == []
    assert "is under way" in (cron.home / "told").read_text()
