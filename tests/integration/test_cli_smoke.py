"""`stacklens smoke`, `load` and `guardrails` on a real worker, API, broker and database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics_service.entrypoints.cli.main import run
from tests.api_support import USER, RunningApi, running_api
from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

TABLES = ("analytics_events", *(f"analytics_metrics_{name}" for name in ("1min", "5min", "1hour")))
WINDOW_STEPS = [f"counted in {table}" for table in TABLES[1:]]
API_STEPS = [f"served by /metrics, {window}" for window in ("1min", "5min", "1hour")]
PATIENT = ("--timeout", "60")
SHORT = ("--timeout", "1")


@pytest.fixture
def api(way: WholeWay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningApi]:
    """An API on the test's database; the commands' environment is the same, away from any .env file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STACKLENS_PASSWORD", USER[1])
    for name, value in way.env.items():
        monkeypatch.setenv(name, value)
    with running_api(way.env) as running:
        yield running


def smoked(url: str, *options: str, status: int = 0, user: str | None = USER[0]) -> dict[str, Any]:
    """The report of a smoke test."""
    login = () if user is None else ("--user", user)
    command = ["smoke", "--base-url", url, *login, *options, "--output-json", "smoke.json"]
    assert run(command) == status
    report: dict[str, Any] = json.loads(Path("smoke.json").read_text())
    return report


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    """Outcome by step."""
    return {step["step"]: step["outcome"] for step in report["steps"]}


def counts(way: WholeWay, service: str) -> list[int]:
    """How many rows of a service each table has."""
    return [
        len(way.database.rows(f"SELECT 1 FROM {table} WHERE service = %s", service))  # noqa: S608
        for table in TABLES
    ]


def letters(way: WholeWay) -> list[tuple[str, str, int]]:
    """Reason and status of the dead letters, and how many there are of each."""
    query = "SELECT reason, status, count(*) FROM analytics_dead_letters GROUP BY 1, 2"
    return way.database.rows(query)


def test_one_event_goes_through_everything(
    way: WholeWay, api: RunningApi, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    worker = way.start().wait_ready()
    report = smoked(api.url, *PATIENT)
    assert list(outcomes(report)) == [
        "sent to Kafka",
        "stored in analytics_events",
        *WINDOW_STEPS,
        *API_STEPS,
    ]
    assert set(outcomes(report).values()) == {"PASS"}
    assert report["ok"] is True
    assert all(0 <= step["seconds"] < 60 for step in report["steps"])
    service = report["service"]
    assert service.startswith("deployment-smoke-")
    assert counts(way, service) == [1, 1, 1, 1]
    assert letters(way) == []
    told = capsys.readouterr().out
    assert told.startswith(f"service {service}\n")
    assert told.count(" PASS ") == 8

    # A bad one as well, when asked for; logged in as ~/.netrc says.
    netrc = tmp_path / ".netrc"
    netrc.touch(mode=0o600)
    netrc.write_text(f"machine 127.0.0.1 login {USER[0]} password {USER[1]}\n")
    again = smoked(api.url, *PATIENT, "--bad-event", user=None)
    assert set(outcomes(again).values()) == {"PASS"}
    assert {"bad event sent to Kafka", "bad event is a dead letter"} < set(outcomes(again))
    assert letters(way) == [("invalid_field:level", "discarded", 1)]
    assert again["service"] != service
    assert counts(way, again["service"]) == [1, 1, 1, 1]

    # Load and guardrails find the same API and worker.
    amount = ("--requests", "24", "--concurrency", "3", "--output-json", "load.json")
    assert run(["load", "--base-url", api.url, *amount]) == 0
    load = json.loads(Path("load.json").read_text())
    assert [each["statuses"] for each in load["paths"]] == [{"200": 6}] * 4
    worker.expect(0, "stacklens_dead_letters_pending")
    wait_until(lambda: worker.metric("stacklens_consumer_lag") == 0, 60, "nothing is left to read")
    Path("contract.yaml").write_text(
        "guardrails:\n"
        "- {metric: consumer_lag, max_ratio: 1, max_absolute: 5}\n"
        "- {metric: dead_letters_pending, limit: 0}\n"
        "- {metric: api_latency_p95_ms, path: '/metrics?window=1min', max_ratio: 1000}\n"
    )
    files = ("--baseline", "good.json", "--contract", "contract.yaml", "--seconds", "1")
    places = ("--base-url", api.url, "--worker-url", f"http://127.0.0.1:{worker.port}")
    assert run(["guardrails", *files, *places, "--save"]) == 0
    figures = json.loads(Path("good.json").read_text())["figures"]
    assert (figures["consumer_lag"], figures["dead_letters_pending"]) == (0, 0)
    assert figures["api_latency_p95_ms /metrics?window=1min"] > 0
    assert run(["guardrails", *files, *places]) == 0
    # A worker that is gone takes its figures along.
    assert worker.terminate() == 0
    capsys.readouterr()
    assert run(["guardrails", *files, *places]) == 1
    assert "Connection refused" in capsys.readouterr().out


def test_what_stands_in_its_way_is_named_and_the_rest_is_skipped(
    way: WholeWay, api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No worker: the event waits in the topic.
    report = smoked(api.url, *SHORT, status=1)
    assert (report["ok"], outcomes(report)["sent to Kafka"]) == (False, "PASS")
    stored = report["steps"][1]
    assert (stored["outcome"], stored["detail"]) == ("FAIL", "not there, 1 s after sending")
    assert {step["outcome"] for step in report["steps"][2:]} == {"SKIP"}
    assert counts(way, report["service"]) == [0, 0, 0, 0]

    way.start().wait_ready()
    way.wait_settled(1)
    monkeypatch.setenv("STACKLENS_PASSWORD", "wrong")
    report = smoked(api.url, *PATIENT, status=1)
    assert [outcomes(report)[step] for step in (*WINDOW_STEPS, *API_STEPS)] == (
        ["PASS"] * 3 + ["FAIL", "SKIP", "SKIP"]
    )
    assert report["steps"][5]["detail"] == "401: name or password is wrong"

    # An API that is not there may come back: it is waited for.
    report = smoked("http://127.0.0.1:1", "--timeout", "15", status=1)
    assert report["steps"][5]["detail"] == "no answer: Connection refused, 15 s after sending"
    assert counts(way, report["service"]) == [1, 1, 1, 1]

    monkeypatch.setenv("KAFKA_INPUT_TOPIC", "not-made-yet")
    report = smoked(api.url, *SHORT, "--bad-event", status=1)
    assert report["steps"][0]["outcome"] == "FAIL"
    assert "there is no topic 'not-made-yet'" in report["steps"][0]["detail"]
    assert {step["outcome"] for step in report["steps"][1:]} == {"SKIP"}
