"""`stacklens rules list` and `apply` on a real database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_service.entrypoints.cli.main import run
from tests.databases import Database
from tests.integration.test_alert_schema import CHECKLIST


@pytest.fixture(autouse=True)
def where(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' environment, away from any .env file."""
    monkeypatch.chdir(tmp_path)
    for name, value in database.env.items():
        monkeypatch.setenv(name, value)


def apply(rules: list[dict[str, Any]], *options: str) -> dict[str, Any]:
    """Apply a file of these rules; the report."""
    Path("rules.yaml").write_text(yaml.safe_dump({"rules": rules}))
    assert run(["rules", "apply", "rules.yaml", *options, "--output-json", "report.json"]) == 0
    report: dict[str, Any] = json.loads(Path("report.json").read_text())
    return report


def test_a_listed_file_applies_without_a_change(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.execute(CHECKLIST)
    assert run(["rules", "list", "--yaml"]) == 0
    written = yaml.safe_load(capsys.readouterr().out)["rules"]
    assert [rule["rule_name"] for rule in written] == [
        "Critical Error Rate", "Critical P99 Latency", "High Error Rate", "High P99 Latency",
    ]  # fmt: skip
    report = apply(written)
    assert len(report["unchanged"]) == 4
    assert report["created"] == report["changed"] == report["removed"] == report["left"] == []


def test_applying_creates_changes_and_prunes(database: Database) -> None:
    database.execute(CHECKLIST)
    wanted = [
        {"rule_name": "High Error Rate", "metric_name": "error_rate", "operator": ">", "threshold": 7,
         "severity": "warning", "notification_channels": ["slack", "email"]},
        {"rule_name": "new; DROP TABLE \"x\" %s", "metric_name": "total_requests", "operator": "<", "threshold": 10,
         "severity": "info", "service": "it's", "no_data_policy": "alert"},
    ]  # fmt: skip
    stored = "SELECT rule_name, threshold, service, no_data_policy FROM analytics_alert_rules ORDER BY rule_name"
    before = database.rows(stored)
    dry = apply(wanted, "--prune", "--dry-run")
    assert (dry["dry_run"], len(dry["removed"])) == (True, 3)
    assert database.rows(stored) == before

    report = apply(wanted)
    assert report["created"] == ['new; DROP TABLE "x" %s']
    assert report["changed"] == ["High Error Rate"]
    assert report["left"] == ["Critical Error Rate", "Critical P99 Latency", "High P99 Latency"]
    assert len(database.rows(stored)) == 5
    assert apply(wanted, "--prune")["removed"] == report["left"]
    assert database.rows(stored) == [
        ("High Error Rate", 7.0, "*", "resolve"),
        ('new; DROP TABLE "x" %s', 10.0, "it's", "alert"),
    ]


def test_a_bad_file_changes_nothing(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules.yaml").write_text("rules: [{rule_name: a, metric_name: error_rate}]")
    assert run(["rules", "apply", "rules.yaml"]) == 2
    assert "rule 1 (a): operator: is missing" in capsys.readouterr().err
    assert database.rows("SELECT count(*) FROM analytics_alert_rules") == [(0,)]
