"""What a worker tells about itself, and how it begins and ends."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from devstack.ports import free_port
from tests.integration.streaming import plain_events
from tests.integration.whole_way import WholeWay
from tests.integration.worker_process import WorkerProcess, worker_processes
from tests.waiting import wait_until

SEED = 1


def test_health_ready_metrics_and_an_orderly_end(way: WholeWay) -> None:
    worker = way.start().wait_ready()

    health = worker.get("/health")
    assert (health.status, health.json()["status"]) == (200, "healthy")
    ready = worker.get("/health/ready?verbose=1")
    assert (ready.status, ready.json()) == (
        200,
        {"status": "ready", "service": "analytics-service", "failing": {}},
    )
    assert worker.get("/health/").status == 200
    assert worker.get("/elsewhere").status == 404

    sent = way.send_values(plain_events(SEED, 3_000))
    way.wait_settled()
    worker.expect(len(sent), "stacklens_events_consumed_total")
    wait_until(lambda: worker.metric("stacklens_consumer_lag") == 0, 30.0, "the gauge follows")
    assert worker.metric("stacklens_flush_seconds_count") >= 1
    assert worker.metric("stacklens_visible_latency_seconds_count") >= 1

    assert worker.terminate() == 0
    with pytest.raises(OSError, match="refused"):
        worker.get("/health")
    assert way.differences() == []


def test_interrupt_ends_it_as_well(way: WholeWay) -> None:
    worker = way.start().wait_ready()
    os.kill(worker.pid, signal.SIGINT)
    assert worker.wait_exit(20.0) == 0


def test_without_metrics_there_is_still_health(way: WholeWay) -> None:
    worker = way.start(ENABLE_METRICS="false").wait_ready()
    assert worker.get("/metrics").status == 404
    assert worker.get("/health").status == 200
    assert worker.get("/health/ready").status == 200


def test_a_stop_while_it_waits_for_the_database(way: WholeWay) -> None:
    worker = way.start(DB_PORT=str(free_port()))
    worker.wait_for_line("Failed to initialize connection pool (attempt 1/5): ")
    assert worker.terminate() == 0


def test_a_port_in_use_is_said_plainly(way: WholeWay) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        worker = way.start(METRICS_PORT=str(port))
        assert worker.wait_exit(60.0) == 1
    assert f"stacklens: cannot listen on port {port}: Address already in use" in worker.output
    assert "Traceback" not in worker.output


def test_every_problem_of_the_configuration_is_told_at_once(way: WholeWay) -> None:
    worker = way.start(DB_PORT="ninety", HIGH_RISK_THRESHOLD="1.5", EVENT_DEFAULT_TZ="Mars/Olympus")
    assert worker.wait_exit(60.0) == 2
    for name in ("DB_PORT", "HIGH_RISK_THRESHOLD", "EVENT_DEFAULT_TZ"):
        assert f"- {name}: " in worker.output
    assert "Traceback" not in worker.output


def test_secrets_are_not_in_the_log(way: WholeWay) -> None:
    keys = "ops:admin:scrypt-of-a-secret"
    worker = way.start(API_KEYS=keys).wait_ready()
    assert worker.terminate() == 0
    password = way.database.stack.db_password
    assert "DB_PASSWORD=********" in worker.output
    assert "API_KEYS=********" in worker.output
    assert password not in worker.output
    assert keys not in worker.output


@pytest.mark.slow
def test_a_database_that_never_comes_up(tmp_path: Path) -> None:
    """Five attempts, then a non-zero exit."""
    nowhere = {"METRICS_PORT": "0", "APP_ENV": "test", "DB_HOST": "127.0.0.1"}
    with worker_processes(tmp_path) as workers:
        worker = WorkerProcess({**nowhere, "DB_PORT": str(free_port())}, tmp_path / "database.log")
        workers.append(worker)
        assert worker.wait_exit(90.0) == 1
    for attempt, delay in enumerate((2, 4, 8, 10), start=1):
        start = f"Failed to initialize connection pool (attempt {attempt}/5): "
        (line,) = [line for line in worker.output.splitlines() if start in line]
        assert line.endswith(f". Retrying in {delay}.0s...")
    assert "Failed to initialize connection pool after 5 attempts" in worker.output
    assert "Traceback" not in worker.output


@pytest.mark.slow
def test_a_broker_that_never_comes_up(way: WholeWay) -> None:
    servers = f"127.0.0.1:{free_port()}"
    worker = way.start(KAFKA_BOOTSTRAP_SERVERS=servers)
    assert worker.wait_exit(150.0) == 1
    assert "Failed to reach Kafka (attempt 4/5): " in worker.output
    assert servers in worker.output.splitlines()[-1]
    assert "Traceback" not in worker.output
