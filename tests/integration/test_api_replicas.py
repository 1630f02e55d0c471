"""Several replicas of the real server on one database: their figures together, and what Prometheus is told."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import trustme
from prometheus_client.parser import text_string_to_metric_families

from tests.api_support import USER, RunningApi, children, running_api
from tests.databases import Database
from tests.waiting import wait_until

COUNTED_S = 30.0


def ask(api: RunningApi, count: int, path: str = "/metrics") -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: api.get(path).status_code, range(count)))
    assert answers == [200] * count


def stats(api: RunningApi) -> dict[str, float]:
    found: dict[str, float] = api.get("/stats").json()
    return found


def answers(api: RunningApi) -> bool:
    """Whether somebody does, on a new connection."""
    try:
        return requests.get(f"{api.url}/healthz", timeout=10).status_code == 200
    except requests.RequestException:  # no connection, or no answer in time
        return False


def metrics_url(api: RunningApi) -> str:
    found = re.search(r"metrics of dashboard-api on port (\d+)", api.log.read_text())
    assert found is not None
    return f"http://127.0.0.1:{found[1]}/metrics"


def metrics(api: RunningApi) -> dict[tuple[str, ...], float]:
    """(name, label values in the order of the labels' names...) -> value."""
    text = requests.get(metrics_url(api), timeout=10).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_stats_are_right_over_workers_and_replicas(database: Database) -> None:
    with running_api(database.env, "--workers", "2") as first:
        ask(first, 30)
        with running_api(database.env, "--workers", "2") as second:
            ask(second, 20)
            # Each knows of the other with a delay; every look is a request, too.
            looks = [0]

            def both_know() -> bool:
                looks[0] += 1
                found = stats(second)
                return found["requests_served"] == 30 + 20 + looks[0]

            wait_until(both_know, COUNTED_S, "the second replica knows what the first has served")
            found = stats(second)
            assert (found["replicas"], found["workers"]) == (2, 4)
            served = int(found["requests_served"])
            assert found["uptime_seconds"] >= stats(first)["uptime_seconds"] - COUNTED_S

        # It ended in order, and told of everything that it had served.
        def all_is_counted() -> bool:
            return stats(first)["requests_served"] > served

        wait_until(all_is_counted, COUNTED_S, "what the second replica served stays counted")
        before = stats(first)["requests_served"]
        (total,) = database.rows(
            "SELECT sum(requests_served)::bigint FROM api_replicas WHERE workers = 2"
        )
        assert total[0] <= before


def test_what_a_replica_that_crashed_had_told_stays_counted(database: Database) -> None:
    with running_api(database.env, "--workers", "1") as survivor:
        with running_api(database.env, "--workers", "1") as victim:
            ask(victim, 25)
            told = "SELECT max(requests_served) FROM api_replicas"
            wait_until(lambda: database.rows(told) == [(25,)], COUNTED_S, "25 requests are told of")
            for process in (*children(victim.process.pid), victim.process.pid):
                os.kill(process, signal.SIGKILL)
            victim.process.wait()
            victim.process.returncode = 0  # the kill was meant
        assert stats(survivor)["requests_served"] == 25 + 1
        assert stats(survivor)["requests_served"] == 25 + 2


def test_prometheus_is_told_of_all_workers(database: Database) -> None:
    with running_api(database.env, "--workers", "3") as api:
        ask(api, 40)
        api.get("/metrics/series", service="a", nonsense="1")
        api.get("/alerts", auth=(USER[0], "wrong"))
        found = metrics(api)
        assert found["stacklens_api_requests_total", "GET", "/metrics", "200"] == 40
        assert found["stacklens_api_requests_total", "GET", "/metrics/series", "400"] == 1
        assert found["stacklens_api_requests_total", "GET", "/alerts", "401"] == 1
        assert found["stacklens_api_request_seconds_count", "/metrics"] == 40
        assert found["stacklens_api_auth_failures_total", "password"] == 1
        assert found[("stacklens_api_workers",)] == 3
        assert found[("stacklens_api_requests_in_flight",)] == 0
        assert found["stacklens_api_db_pool_connections", "idle"] >= 1
        # The ports of the API itself know nothing of it.
        assert "stacklens_api" not in api.get("/metrics").text
        for worker in children(api.process.pid):
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: answers(api), COUNTED_S, "new workers answer")
        api.session.close()
        ask(api, 2)
        assert metrics(api)["stacklens_api_requests_total", "GET", "/metrics", "200"] == 40 + 1 + 2
        assert metrics(api)[("stacklens_api_requests_in_flight",)] == 0


def test_a_port_that_is_taken_is_said(database: Database) -> None:
    with running_api(database.env, "--workers", "1") as api:
        port = metrics_url(api).split(":")[2].split("/")[0]
        taken = {**database.env, "API_METRICS_PORT": port}
        with (
            pytest.raises(
                AssertionError, match=f"cannot listen on port {port}: .*API_METRICS_PORT"
            ),
            running_api(taken, "--workers", "1"),
        ):
            pass


def test_no_metrics_where_they_are_switched_off(database: Database) -> None:
    with running_api({**database.env, "ENABLE_METRICS": "false"}, "--workers", "1") as api:
        assert api.get("/healthz").status_code == 200
        assert "metrics of dashboard-api" not in api.log.read_text()


def test_the_end_of_a_certificate_that_comes_while_it_runs(
    database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "tls.crt"
    ends = ("stacklens_certificate_expires_timestamp_seconds",)
    with running_api({**database.env, "API_CERTIFICATE_FILE": str(file)}, "--workers", "1") as api:
        assert ends not in metrics(api)
        assert metrics(api)[("stacklens_certificate_unreadable",)] == 0
        end = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
        trustme.CA().issue_cert("stacklens.example", not_after=end).cert_chain_pems[
            0
        ].write_to_path(file)
        assert metrics(api)[ends] == end.timestamp()
        file.write_text("no certificate")
        assert metrics(api)[("stacklens_certificate_unreadable",)] == 1
        assert f"certificate {file}: holds no certificate in PEM" in api.log.read_text()
