"""The API's own metrics, as Prometheus reads them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dashboard_api.counters import ServerState
from dashboard_api.metrics import ApiMetrics, registry_of

ROUTES = ["/alerts/{alert_id}", "/metrics", "other"]
Found = dict[tuple[str, ...], float]


def samples(metrics: ApiMetrics, state: ServerState) -> Found:
    """(name, label values in the order of the labels' names...) -> value, read from the text."""
    text = generate_latest(registry_of(metrics, state)).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_and_their_durations() -> None:
    metrics, state = ApiMetrics(ROUTES), ServerState()
    for seconds in (0.004, 0.005, 0.02, 7.0, 99.0):
        metrics.count("/metrics", "GET", 200, seconds)
    metrics.count("/alerts/{alert_id}", "DELETE", 404, 0.1)
    metrics.count("/no/such", "BREW", 418, 0.1)
    found = samples(metrics, state)
    assert found["stacklens_api_requests_total", "GET", "/metrics", "200"] == 5
    assert found["stacklens_api_requests_total", "DELETE", "/alerts/{alert_id}", "404"] == 1
    assert found["stacklens_api_requests_total", "other", "other", "other"] == 1
    name = "stacklens_api_request_seconds"
    buckets = {
        key[1]: value
        for key, value in found.items()
        if key[0] == f"{name}_bucket" and key[2] == "/metrics"
    }
    assert buckets["0.005"] == 2  # a bound belongs to its bucket
    assert (buckets["0.01"], buckets["0.02"], buckets["5.0"], buckets["10.0"]) == (2, 3, 3, 4)
    assert buckets["+Inf"] == found[f"{name}_count", "/metrics"] == 5
    assert found[f"{name}_sum", "/metrics"] == pytest.approx(106.029)


def test_what_goes_up_and_down() -> None:
    metrics, state = ApiMetrics(ROUTES), ServerState(workers=3)
    metrics.begin()
    metrics.begin()
    metrics.end({"used": 1, "idle": 2, "max": 10})
    metrics.fail("password")
    found = samples(metrics, state)
    assert found[("stacklens_api_requests_in_flight",)] == 1
    assert found["stacklens_api_db_pool_connections", "used"] == 1
    assert found["stacklens_api_db_pool_connections", "idle"] == 2
    assert found["stacklens_api_auth_failures_total", "password"] == 1
    assert found["stacklens_api_auth_failures_total", "throttled"] == 0
    assert found[("stacklens_api_workers",)] == 3
    assert found[("stacklens_api_uptime_seconds",)] >= 0


def in_worker(metrics: ApiMetrics, state: ServerState, work: Callable[[], None]) -> int:
    """Let a forked worker do something in a slot of its own; the slot."""
    slot = state.requests.reserve()

    def run() -> None:
        metrics.cells.bind(slot)
        work()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    return slot


def test_workers_add_up_and_dead_ones_stay_counted() -> None:
    metrics, state = ApiMetrics(ROUTES), ServerState(workers=2)

    def answer_some() -> None:
        for _ in range(1000):
            metrics.count("/metrics", "GET", 200, 0.01)
        metrics.begin()  # and is killed before the answer

    slots = [in_worker(metrics, state, answer_some) for _ in range(2)]
    found = samples(metrics, state)
    assert found["stacklens_api_requests_total", "GET", "/metrics", "200"] == 2000
    assert found[("stacklens_api_requests_in_flight",)] == 2
    for slot in slots:
        metrics.worker_gone(slot)
        state.requests.release(slot)
    in_worker(metrics, state, answer_some)  # takes the slot of one that is gone
    found = samples(metrics, state)
    assert found["stacklens_api_requests_total", "GET", "/metrics", "200"] == 3000
    assert found[("stacklens_api_requests_in_flight",)] == 1
