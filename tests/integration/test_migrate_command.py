"""`stacklens migrate`: what it prints, reports and exits with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analytics_service.entrypoints.cli.main import run
from tests.databases import Database

OWN_FILES = Path(__file__).resolve().parents[2] / "sql"
LABELS = sorted(path.name.split(".")[0] for path in OWN_FILES.glob("migrations/*.up.sql"))
SCRIPTS = [
    f"{kind}/{path.name.split('.')[0]}"
    for kind in ("functions", "views")
    for path in sorted((OWN_FILES / kind).glob("*.up.sql"))
]

Migrate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def migrate(
    empty_database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Migrate:
    """Run `stacklens migrate ...` on a fresh database; gives (status, output, errors)."""
    sql_dir = shutil.copytree(OWN_FILES, tmp_path / "sql")
    for name, value in {**empty_database.env, "APP_ENV": "test", "SQL_DIR": str(sql_dir)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # no .env there

    def invoke(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(["migrate", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return invoke


def report(path: Path) -> Any:
    """A report as a script reads it."""
    return json.loads(path.read_text())


def test_up_tells_what_it_applied(migrate: Migrate, tmp_path: Path) -> None:
    """Each file on a line; a second run has nothing to tell."""
    status, output, _ = migrate("up", "--output-json", str(tmp_path / "up.json"))
    assert status == 0
    last = f"The database is at version {len(LABELS)}."
    assert output.splitlines() == [f"applied {name}" for name in [*LABELS, *SCRIPTS]] + [last]
    assert report(tmp_path / "up.json") == {
        "version": len(LABELS),
        "applied": LABELS,
        "scripts": SCRIPTS,
        "mended": [],
    }
    assert migrate("up")[:2] == (0, f"{last}\n")


def test_down_needs_a_word(migrate: Migrate) -> None:
    """Data would be lost: neither by default nor by both words at once."""
    assert migrate("up")[0] == 0
    for arguments in (
        ("down",),
        ("down", "--to", "0"),
        ("down", "--to", "0", "--dry-run", "--confirm"),
        ("down", "--to", "-1", "--confirm"),
        ("down", "--to", "99", "--confirm"),
    ):
        status, output, errors = migrate(*arguments)
        assert (status, output) == (2, ""), arguments
        assert "Usage:" in errors
    assert migrate("status")[1].count("applied") == len(LABELS)


def test_down_and_its_dry_run(migrate: Migrate, tmp_path: Path) -> None:
    """The dry run says the same and does nothing."""
    migrate("up")
    status, output, _ = migrate("down", "--to", "4", "--dry-run")
    assert status == 0
    going = [*reversed(SCRIPTS), *reversed(LABELS[4:])]
    assert output.splitlines() == [
        *(f"would revert {label}" for label in going),
        "The database would be at version 4.",
    ]
    target = tmp_path / "down.json"
    status, output, _ = migrate("down", "--to", "4", "--confirm", "--output-json", str(target))
    assert status == 0
    assert output.splitlines() == [
        *(f"reverted {label}" for label in going),
        "The database is at version 4.",
    ]
    assert report(target)["reverted"] == LABELS[:3:-1]


def test_status_of_pending_and_applied(migrate: Migrate, tmp_path: Path) -> None:
    """Pending is no failure."""
    status, output, _ = migrate("status", "--output-json", str(tmp_path / "status.json"))
    assert status == 0
    assert output.count("pending") == len(LABELS) + len(SCRIPTS)
    assert report(tmp_path / "status.json")["pending"] == LABELS
    migrate("up")
    status, output, _ = migrate("status", "--output-json", str(tmp_path / "status.json"))
    assert status == 0
    assert "pending" not in output
    found = report(tmp_path / "status.json")
    assert found["is_current"] is True
    assert [row["version"] for row in found["applied"]] == list(range(1, len(LABELS) + 1))


def test_check_without_a_database(
    migrate: Migrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--skip-db-check looks at the files only."""
    monkeypatch.setenv("DB_PORT", "1")
    target = tmp_path / "check.json"
    status, output, _ = migrate("check", "--skip-db-check", "--output-json", str(target))
    assert status == 0
    assert output == f"{len(LABELS)} migrations, no problem found (files checked).\n"
    expected = {
        name: hashlib.sha256((OWN_FILES / "migrations" / f"{name}.up.sql").read_bytes()).hexdigest()
        for name in LABELS
    }
    assert report(target) == {
        "ok": True,
        "problems": [],
        "checksums": expected,
        "database_checked": False,
    }


def test_drift_fails_check_status_and_up(migrate: Migrate, tmp_path: Path) -> None:
    """Exit status 1, the culprit named, and up says what to do."""
    migrate("up")
    assert migrate("check")[0] == 0
    changed = tmp_path / "sql" / "migrations" / f"{LABELS[0]}.up.sql"
    changed.write_text(changed.read_text() + "\n")
    target = tmp_path / "check.json"
    status, _, errors = migrate("check", "--output-json", str(target))
    assert status == 1
    assert f"migration 0001: {LABELS[0]}.up.sql was changed after it was applied" in errors
    assert report(target)["ok"] is False
    status, output, errors = migrate("status")
    assert status == 1
    assert "changed" in output
    status, _, errors = migrate("up")
    assert status == 1
    assert "put the original files back" in errors


def test_broken_files_fail_every_command(migrate: Migrate, tmp_path: Path) -> None:
    """A missing half is found before the database is touched."""
    (tmp_path / "sql" / "migrations" / f"{LABELS[1]}.down.sql").unlink()
    for arguments in (("check",), ("check", "--skip-db-check"), ("status",), ("up",)):
        status, _, errors = migrate(*arguments)
        assert status == 1, arguments
        assert f"{LABELS[1]}.down.sql is missing" in errors


@pytest.mark.parametrize("command", ["", "up", "down", "status", "check"])
def test_help_has_examples(migrate: Migrate, command: str) -> None:
    """Everywhere."""
    status, output, _ = migrate(*command.split(), "--help")
    assert status == 0
    assert "Examples:" in output
    assert "stacklens migrate" in output
