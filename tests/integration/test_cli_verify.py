"""`stacklens verify` against a real API, worker, broker and database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from analytics_service.entrypoints.cli.main import run
from devstack.ports import free_port
from tests.databases import Database
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
PASSWORD = "for-verify-only"


def program(*arguments: str) -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "analytics_service.entrypoints.cli.main", *arguments]


def user(name: str, role: str) -> str:
    """An entry of API_USERS with the one password."""
    return subprocess.run(
        program("hash-password", "--user", name, "--role", role),
        input=PASSWORD,
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT / "python-services",
    ).stdout.strip()


@contextmanager
def running(name: str, env: dict[str, str], health_url: str) -> Iterator[None]:
    """One process of the product, ended by SIGTERM, once it answers."""

    def healthy() -> bool:
        assert process.poll() is None, f"{name} ended by itself"
        try:
            return requests.get(health_url, timeout=20).status_code == 200
        except requests.RequestException:
            return False

    with subprocess.Popen(
        program(name), env={**os.environ, **env}, cwd=CHECKOUT / "python-services"
    ) as process:
        try:
            wait_until(healthy, 90, f"{name} is healthy")
            yield
        finally:
            process.terminate()


def outcomes(path: Path) -> dict[str, tuple[str, str]]:
    """Outcome and detail by check."""
    findings = json.loads(path.read_text())["findings"]
    return {found["check"]: (found["outcome"], found["detail"]) for found in findings}


@pytest.mark.slow
def test_a_whole_deployment_passes_and_each_missing_part_is_named(
    settings_env: dict[str, str],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    users = f"{user('anna', 'admin')},{user('rudi', 'reader')}"
    names = ("METRICS_PORT", "API_PORT", "API_METRICS_PORT", "NOTIFIER_METRICS_PORT")
    ports = {name: str(free_port()) for name in names}
    env = {**settings_env, **ports, "API_USERS": users, "API_HOST": "127.0.0.1"}
    api, worker, notifier = (
        f"http://127.0.0.1:{env[name]}"
        for name in ("API_PORT", "METRICS_PORT", "NOTIFIER_METRICS_PORT")
    )
    monkeypatch.chdir(tmp_path)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    command = ["verify", "--base-url", f"{api}/", "--user", "anna", "--output-json", "found.json"]
    monkeypatch.setenv("STACKLENS_PASSWORD", PASSWORD)
    found = tmp_path / "found.json"
    with running("api", env, f"{api}/healthz"):
        with (
            running("analytics", env, f"{worker}/health/ready"),
            running("notifier", env, f"{notifier}/health/ready"),
        ):
            assert run([*command, "--require-ready"]) == 0
            assert {outcome for outcome, _ in outcomes(found).values()} == {"PASS"}
            assert " checks, 0 failed" in capsys.readouterr().out
            # All that can be asked for without knowing a name or number:
            described = requests.get(f"{api}/openapi.json", auth=("anna", PASSWORD), timeout=10)
            paths = described.json()["paths"]
            wanted = {path for path in paths if "get" in paths[path] and "{" not in path}
            told = outcomes(found)
            assert wanted == {
                name.removeprefix("api ").partition("?")[0]
                for name in told
                if name.startswith("api /") and not name.startswith("api /v1/")
            }
            # Who is no admin sees less, and that is no failure.
            assert run([*command[:-3], "rudi", *command[-2:], "--require-ready"]) == 0
            skipped = {name for name, (outcome, _) in outcomes(found).items() if outcome == "SKIP"}
            roles = {f"api {path}": paths[path]["get"]["x-role"] for path in wanted}
            assert skipped == {name for name, role in roles.items() if role == "admin"} != set()
        # Without the worker, and without a notifier, of which there need be none here:
        assert run(command) == 1
        assert {
            outcome
            for name, (outcome, _) in outcomes(found).items()
            if name.startswith("notifier ")
        } == {"WARN"}
        assert run([*command, "--notifier-url", notifier]) == 1
        assert outcomes(found)["notifier /health"][0] == "FAIL"
        assert run(command) == 1
        failed = {name for name, (outcome, _) in outcomes(found).items() if outcome == "FAIL"}
        assert failed == {"worker /health", "worker /health/ready", "worker /metrics"}
        # With another password, other topics, and a table less:
        monkeypatch.setenv("STACKLENS_PASSWORD", "wrong")
        monkeypatch.setenv("KAFKA_DLQ_TOPIC", "not-made-yet")
        monkeypatch.setenv("KAFKA_TOPIC_PARTITIONS", "64")
        for table in ("analytics_metrics_5min", "retention_tiers"):
            database.execute(f"DROP TABLE {table} CASCADE")
        database.execute("DROP VIEW v_slowest_services")
        database.execute("DROP FUNCTION analytics_get_alert_stats()")
        assert run(command) == 1
        told = outcomes(found)
        assert told["api /stats"] == ("FAIL", "401: the password is wrong")
        assert told["topic not-made-yet"][0] == "FAIL"
        assert told[f"topic {env['KAFKA_INPUT_TOPIC']}"] == ("WARN", "6 partitions, 64 wanted")
        assert told["hypertables"][0] == told["tables"][0] == "FAIL"
        assert "retention_tiers" in told["tables"][1]
        assert told["views"] == ("FAIL", "missing: v_slowest_services")
        assert told["functions"] == ("FAIL", "missing: analytics_get_alert_stats")
        assert told["role stacklens_reader"][0] == "FAIL"


def test_an_empty_database_is_told_to_be_migrated(
    settings_env: dict[str, str],
    empty_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    nowhere = f"http://127.0.0.1:{free_port()}"
    for name, value in {**settings_env, "DB_NAME": empty_database.name}.items():
        monkeypatch.setenv(name, value)
    command = ["verify", "--base-url", nowhere, "--worker-url", nowhere]
    assert run([*command, "--output-json", "found.json"]) == 1
    told = outcomes(tmp_path / "found.json")
    assert "run `stacklens migrate up`" in told["migrations"][1]
    assert told["hypertables"][0] == told["tables"][0] == "FAIL"
