"""The production overlay: what it asks for; and, started with smaller limits, that it outlives one of its brokers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compose.conftest import wait_for_health
from tests.compose.site import Site
from tests.compose.traffic import Traffic, check_stored
from tests.waiting import wait_until

BASE = "docker-compose -f docker-compose-phase4.yml"
OVERLAY = f"{BASE} -f docker-compose-production.yml"
SMALLER = f"{OVERLAY} -f tests/compose/two-cores.yml"
BROKERS = ("kafka", "kafka-2", "kafka-3")
GIB = 1024**3
# It has twice the processes of the plain stack.
HEALTHY_WITHIN_S = 240
TOPICS = (
    "docker exec stacklens-kafka-analytics kafka-topics --bootstrap-server kafka:9092 --describe"
)


@pytest.fixture(scope="module")
def overlay(site: Site) -> dict[str, Any]:
    """The overlay's services as compose understands them."""
    config: dict[str, Any] = json.loads(
        site.right(f"touch .env.prod; {OVERLAY} config --format json")
    )
    services: dict[str, Any] = config["services"]
    return services


def test_three_brokers_and_two_of_them_needed(overlay: dict[str, Any]) -> None:
    environments = [overlay[name]["environment"] for name in BROKERS]
    assert [each["KAFKA_BROKER_ID"] for each in environments] == ["1", "2", "3"]
    for each in environments:
        assert each["KAFKA_DEFAULT_REPLICATION_FACTOR"] == "3"
        assert each["KAFKA_MIN_INSYNC_REPLICAS"] == "2"
        assert each["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == "3"
        assert each["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert overlay["kafka"]["container_name"] == "stacklens-kafka-analytics"
    published = [port["published"] for name in BROKERS for port in overlay[name]["ports"]]
    assert published == ["9092", "9094", "9095"]
    assert len({overlay[name]["volumes"][0]["source"] for name in BROKERS}) == 3
    for name in ("analytics-service", "alert-notifier"):
        environment = overlay[name]["environment"]
        assert environment["KAFKA_REPLICATION_FACTOR"] == "3"
        assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092,kafka-2:9092,kafka-3:9092"


def test_replicas_limits_and_tuning(overlay: dict[str, Any]) -> None:
    def asked(name: str) -> tuple[Any, Any, Any, Any]:
        resources = overlay[name]["deploy"]["resources"]
        limits, reserved = resources["limits"], resources["reservations"]
        return (
            float(limits["cpus"]), int(limits["memory"]), float(reserved["cpus"]), int(reserved["memory"]),
        )  # fmt: skip

    assert overlay["analytics-service"]["deploy"]["replicas"] == 3
    assert overlay["dashboard-api"]["deploy"]["replicas"] > 1
    assert asked("analytics-service") == (4, 2 * GIB, 2, GIB)
    assert asked("postgres") == (4, 4 * GIB, 2, 2 * GIB)
    assert set(overlay["postgres"]["command"]) >= {
        "-cmax_connections=300", "-cshared_buffers=1GB", "-ceffective_cache_size=4GB",
        "-cmaintenance_work_mem=256MB", "-ccheckpoint_completion_target=0.9",
    }  # fmt: skip


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[Site]:
    """The overlay, on top of a stack that has run with one broker and has data; its topics spread."""
    site.right(f"{BASE} up -d 2>/dev/null")
    wait_for_health(site)
    with Traffic("one-broker-service") as traffic:
        wait_until(lambda: len(traffic.acknowledged) > 60, 60, "events flow")
    check_stored(site, traffic)
    site.right(f"{SMALLER} up -d 2>/dev/null", 400)
    wait_for_health(site, HEALTHY_WITHIN_S)
    assert "three brokers" in site.right("scripts/spread-topics.sh", 400)
    yield site
    site.right(f"{SMALLER} down")


def test_every_partition_is_on_three_brokers_and_what_was_there_still_is(running: Site) -> None:
    partitions = [line for line in running.right(TOPICS).splitlines() if "Replicas: " in line]
    assert len(partitions) >= 12
    for line in partitions:
        assert sorted(line.split("Replicas: ")[1].split("\t")[0].split(",")) == ["1", "2", "3"]
    old = "SELECT count(*) FROM analytics_events WHERE service = 'one-broker-service'"
    assert running.number(old) > 60


def test_one_broker_may_be_away(running: Site) -> None:
    servers = "localhost:9092,localhost:9094,localhost:9095"
    with Traffic("three-broker-service", servers) as traffic:
        wait_until(lambda: len(traffic.acknowledged) > 60, 60, "events flow")
        running.right("docker kill stacklens-kafka-analytics-3")
        before = len(traffic.acknowledged)
        wait_until(
            lambda: len(traffic.acknowledged) > before + 200, 120, "events flow on two brokers"
        )
    check_stored(running, traffic)
    assert traffic.sent == len(traffic.acknowledged)
    running.right(f"{SMALLER} up -d 2>/dev/null")
    wait_for_health(running, HEALTHY_WITHIN_S)
    behind = f"{TOPICS} --under-replicated-partitions"
    wait_until(lambda: running.right(behind).strip() == "", 120, "the third has caught up")
