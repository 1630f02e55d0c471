"""Migrations as processes meet them: a database with data in it, drift at start, two workers at once."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics_service.entrypoints.cli.main import run
from tests.databases import Database
from tests.integration.filled_windows import Sample, fill
from tests.integration.whole_way import open_way
from tests.stack_fixtures import Topics

OWN_FILES = Path(__file__).resolve().parents[2] / "sql"
LABELS = sorted(path.name.split(".")[0] for path in OWN_FILES.glob("migrations/*.up.sql"))
BEFORE_ALERTS = LABELS.index("0009_alerts")
AT_S = int(datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC).timestamp())
TOTAL = "SELECT total_requests FROM stacklens.service_totals('-infinity', 'infinity')"


def test_down_and_up_again_with_data(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is reverted loses its data, everything else keeps them; views and functions come back."""
    for name, value in {**database.env, "APP_ENV": "test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # no .env there
    samples = [Sample(AT_S + n, "s", 5.0, n == 0) for n in range(10)]
    for window in ("1min", "5min", "1hour"):
        fill(database, window, samples)
    database.execute(
        "INSERT INTO analytics_alert_rules (rule_name, metric_name, operator, threshold, severity)"
        " VALUES ('r', 'error_rate', '>', 1, 'info')"
    )
    database.execute(
        "UPDATE retention_tiers SET archived_before = '2026-05-01Z' WHERE tier = 'hot'"
    )

    down = ["migrate", "down", "--to", str(BEFORE_ALERTS)]
    assert run([*down, "--dry-run"]) == 0
    assert database.rows("SELECT rule_name FROM analytics_alert_rules") == [("r",)]
    assert database.rows(TOTAL) == [(10,)]

    assert run([*down, "--confirm"]) == 0
    assert "reverted 0009_alerts" in capsys.readouterr().out
    assert database.rows("SELECT to_regclass('analytics_alert_rules')") == [(None,)]
    assert database.rows("SELECT count(*) FROM pg_views WHERE viewname LIKE 'v\\_%%'") == [(0,)]
    assert database.rows("SELECT total_requests FROM analytics_metrics_1min") == [(10,)]

    assert run(["migrate", "up"]) == 0
    assert database.rows("SELECT count(*) FROM analytics_alert_rules") == [(0,)]
    assert database.rows(TOTAL) == [(10,)]
    assert database.rows("SELECT failed_requests FROM v_top_error_services") == []  # too long ago
    limit = "SELECT archived_before = '2026-05-01Z' FROM retention_tiers WHERE tier = 'hot'"
    assert database.rows(limit) == [(True,)]


def test_a_worker_refuses_a_schema_that_drifted(
    database: Database, topics: Topics, tmp_path: Path
) -> None:
    """It says which migration and what to do, and ends; the schema stays as it is."""
    sql_dir = shutil.copytree(OWN_FILES, tmp_path / "sql")
    changed = sql_dir / "migrations" / f"{LABELS[1]}.up.sql"
    changed.write_text(changed.read_text() + "\n-- edited\n")
    for way_of_it in ("up", "down"):  # and one that would be next
        name = f"{len(LABELS) + 1:04d}_more.{way_of_it}.sql"
        (sql_dir / "migrations" / name).write_text("SELECT 1;")
    with open_way(database, topics, tmp_path) as way:
        worker = way.start(SQL_DIR=str(sql_dir))
        assert worker.wait_exit(60) == 1
    assert f"{LABELS[1]}.up.sql was changed after it was applied" in worker.output
    assert "put the original files back" in worker.output
    assert database.rows("SELECT max(version) FROM schema_migrations") == [(len(LABELS),)]


def test_two_workers_start_at_once_on_an_empty_database(
    empty_database: Database, topics: Topics, tmp_path: Path
) -> None:
    """One migrates, the other waits; both become ready, and each migration was applied once."""
    with open_way(empty_database, topics, tmp_path) as way:
        workers = [way.start(), way.start()]
        for worker in workers:
            worker.wait_ready()
    versions = empty_database.rows("SELECT version FROM schema_migrations ORDER BY version")
    assert versions == [(number,) for number in range(1, len(LABELS) + 1)]
    applied = sum(worker.output.count("applied migration") for worker in workers)
    assert applied == len(LABELS)
