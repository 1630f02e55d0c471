"""Alive and ready, judged along a timeline by a clock that the tests move."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from analytics_service.adapters.health_server import HealthServer
from analytics_service.health import LOOP_SILENCE_S, NOT_READING_S, STALL_S, Health


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    """Of a worker that reads, with both dependencies well."""
    made = Health(clock=clock)
    made.report("database", True)
    made.report("broker", True)
    made.reading = True
    return made


def test_a_new_worker_is_alive_but_not_ready(clock: Clock) -> None:
    health = Health(clock=clock)
    assert health.dead_reason() is None
    assert health.unready_reasons() == {
        "database": "not checked yet",
        "broker": "not checked yet",
        "consumption": "no partitions are being read yet",
    }


def test_ready_when_all_is_well(health: Health) -> None:
    assert health.dead_reason() is None
    assert health.unready_reasons() == {}


@pytest.mark.parametrize("part", ["database", "broker"])
def test_a_part_that_fails_is_named_until_it_is_back(health: Health, part: str) -> None:
    health.report(part, False, "OperationalError")
    assert health.unready_reasons() == {part: "OperationalError"}
    assert health.dead_reason() is None, "a restart would not help"
    health.report(part, True)
    assert health.unready_reasons() == {}


def test_a_stopping_worker_is_not_ready(health: Health) -> None:
    health.stopping = True
    assert health.unready_reasons() == {"process": "is stopping"}
    assert health.dead_reason() is None


def test_a_worker_that_still_waits_for_its_dependencies_is_alive(
    health: Health, clock: Clock
) -> None:
    # start ........ no beat yet: retries at start are bounded by themselves
    clock.pass_(10 * LOOP_SILENCE_S)
    assert health.dead_reason() is None


def test_a_silent_event_loop_is_dead(health: Health, clock: Clock) -> None:
    # beat at 0 ........ LOOP_SILENCE_S: still alive | a moment later: dead | beat: alive again
    health.beat()
    clock.pass_(LOOP_SILENCE_S)
    assert health.dead_reason() is None
    clock.pass_(0.1)
    assert health.dead_reason() == f"the event loop has not answered for {LOOP_SILENCE_S:.0f} s"
    assert "consumption" in health.unready_reasons()
    health.beat()
    assert health.dead_reason() is None


@pytest.mark.parametrize(
    ("reading", "lag", "away", "dead"),
    [
        # after more than STALL_S without a commit
        (True, 10, None, True),  # messages wait and everything answers: it stands still
        (True, 0, None, False),  # nothing to do
        (False, 10, None, False),  # no partitions: their lag is not ours
        (True, 10, "database", False),  # waiting for the database, without limit
        (True, 10, "broker", False),  # the broker is away: a restart would not help
    ],
)
def test_a_stall(
    health: Health, clock: Clock, reading: bool, lag: int, away: str | None, dead: bool
) -> None:
    health.reading, health.lag = reading, lag
    if away is not None:
        health.report(away, False, "OperationalError")
    health.progress()
    clock.pass_(STALL_S)
    health.beat()
    assert health.dead_reason() is None
    clock.pass_(1)
    health.beat()
    reason = health.dead_reason()
    assert (reason is not None) is dead
    if reason is not None:
        assert reason == f"10 messages wait and none was committed for {STALL_S + 1:.0f} s"
    health.progress()
    assert health.dead_reason() is None


@pytest.mark.parametrize(
    ("reading", "away", "dead"),
    [
        (False, None, True),  # out of the group, or stuck on its way into it
        (True, None, False),
        (False, "broker", False),  # nothing to be had from it
        (False, "database", False),
    ],
)
def test_a_worker_that_never_comes_to_read(
    health: Health, clock: Clock, reading: bool, away: str | None, dead: bool
) -> None:
    assert health.dead_reason() is None
    health.reading = reading
    if away is not None:
        health.report(away, False, "OperationalError")
    clock.pass_(NOT_READING_S)
    health.beat()
    assert health.dead_reason() is None
    clock.pass_(1)
    health.beat()
    reason = health.dead_reason()
    assert (reason is not None) is dead
    if reason is not None:
        assert reason.startswith(f"nothing has been read for {NOT_READING_S + 1:.0f} s")
    health.reading = True
    assert health.dead_reason() is None


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry with one counter at 3."""
    made = CollectorRegistry()
    Counter("things", "Things.", registry=made).inc(3)
    return made


@contextlib.contextmanager
def serving(health: Health, registry: CollectorRegistry | None) -> Iterator[int]:
    """A running health server's port."""
    server = HealthServer(0, "a-service", health, registry)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    """Status, content type and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()


def test_served_states(health: Health, clock: Clock, registry: CollectorRegistry) -> None:
    with serving(health, registry) as port:
        good = {"status": "healthy", "service": "a-service", "failing": {}}
        for path in ("/health", "/health/", "/health?x=1"):
            status, kind, body = ask(port, path)
            assert (status, kind, json.loads(body)) == (200, "application/json", good)
        assert ask(port, "/health/ready")[0] == 200

        health.report("database", False, "gone")
        status, kind, body = ask(port, "/health/ready")
        assert (status, kind) == (503, "application/json")
        assert json.loads(body) == {
            "status": "unready", "service": "a-service", "failing": {"database": "gone"},
        }  # fmt: skip
        assert ask(port, "/health")[0] == 200

        health.beat()
        clock.pass_(LOOP_SILENCE_S + 1)
        status, _, body = ask(port, "/health")
        assert status == 503
        assert json.loads(body)["status"] == "unhealthy"
        assert "consumption" in json.loads(body)["failing"]


def test_metrics_and_what_is_not_there(health: Health, registry: CollectorRegistry) -> None:
    with serving(health, registry) as port:
        status, kind, body = ask(port, "/metrics")
        assert status == 200
        assert kind.startswith("text/plain")
        assert b"things_total 3.0" in body
        status, kind, body = ask(port, "/elsewhere")
        assert (status, kind) == (404, "application/problem+json")
        assert json.loads(body)["status"] == 404
        assert ask(port, "/health", "HEAD")[0::2] == (200, b"")
        assert ask(port, "/health", "POST")[0] == 501
    with serving(health, None) as port:
        assert ask(port, "/metrics")[0] == 404
        assert ask(port, "/health")[0] == 200


def test_a_taken_port(health: Health) -> None:
    with serving(health, None) as port, pytest.raises(OSError, match=f"port {port}"):
        HealthServer(port, "another", health, None)
