"""Scaling and crashes under a small stream of events: nothing lost, nothing twice, everybody back. Then the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compose.conftest import wait_for_health
from tests.compose.site import FROM_PHASE_4, PROJECT, Site
from tests.compose.traffic import Traffic, check_stored
from tests.waiting import wait_until

COMPOSE = " ".join(("docker-compose", *FROM_PHASE_4))
SERVICES = (
    "analytics-service", "alert-notifier", "dashboard-api", "nginx", "postgres", "kafka", "zookeeper",
    "prometheus", "alertmanager", "grafana", "kafka-ui",
)  # fmt: skip
BACK_WITHIN_S = 120
DOWN_WITHIN_S = 30


def test_scaling_under_load_loses_and_doubles_nothing(site: Site) -> None:
    with Traffic("scaled-service") as traffic:
        wait_until(lambda: len(traffic.acknowledged) > 40, 60, "events flow")
        site.right(
            f"{COMPOSE} up -d --scale analytics-service=3 --scale dashboard-api=2 2>/dev/null"
        )
        wait_for_health(site)
        assert len(of(site, "analytics-service")) == 3
        assert len(of(site, "dashboard-api")) == 2
        members = "kafka-consumer-groups --bootstrap-server kafka:9092 --describe --members"
        group = "--group stacklens-analytics-service"
        wait_until(
            lambda: site.right(
                f"docker exec stacklens-kafka-analytics {members} {group} | grep -c ' 2  *$'"
            ).strip() == "3",
            60,
            "each of three workers has two of six partitions",
        )  # fmt: skip
        site.right(
            f"{COMPOSE} up -d --scale analytics-service=1 --scale dashboard-api=1 2>/dev/null"
        )
        wait_for_health(site)
        assert len(of(site, "analytics-service")) == 1
        before = len(traffic.acknowledged)
        wait_until(lambda: len(traffic.acknowledged) > before + 40, 60, "events still flow")
    check_stored(site, traffic)
    assert traffic.sent == len(traffic.acknowledged)


@pytest.fixture(scope="class")
def stream(site: Site) -> Iterator[Traffic]:
    """One stream through all of the crashes; in the end every event of it is accounted for."""
    with Traffic("crash-service") as traffic:
        yield traffic
    wait_for_health(site)
    check_stored(site, traffic)


class TestCrashes:
    """One stream of events through all of them."""

    @pytest.mark.parametrize("service", SERVICES)
    def test_a_service_that_crashes_comes_back_by_itself(
        self, site: Site, stream: Traffic, service: str
    ) -> None:
        (container,) = of(site, service)
        began = time.monotonic()
        os.kill(container["State"]["Pid"], signal.SIGKILL)
        wait_until(
            lambda: of(site, service)[0]["State"]["StartedAt"] != container["State"]["StartedAt"],
            BACK_WITHIN_S,
            f"{service} is started again",
        )
        wait_for_health(site, BACK_WITHIN_S)
        print(f"{service}: all healthy {time.monotonic() - began:.0f} s after the crash")
        before = len(stream.acknowledged)
        wait_until(lambda: len(stream.acknowledged) > before, 60, "events flow again")
        assert "healthy" in site.right("curl -sf http://localhost:8005/health")

    def test_what_was_killed_by_hand_is_started_by_up(self, site: Site, stream: Traffic) -> None:
        """The engine takes `docker kill` for a decision: it starts nothing until it is asked."""
        site.right("docker kill stacklens-kafka-analytics stacklens-analytics-service-1")
        site.right(f"{COMPOSE} up -d 2>/dev/null")
        wait_for_health(site, BACK_WITHIN_S)
        before = len(stream.acknowledged)
        wait_until(lambda: len(stream.acknowledged) > before, 60, "events flow again")


def test_down_is_quick_and_leaves_nothing_but_volumes(site: Site) -> None:
    began = time.monotonic()
    site.right(f"{COMPOSE} down")
    took = time.monotonic() - began
    print(f"down after {took:.0f} s")
    assert site.containers() == []
    assert (
        site.right(f"docker network ls -q --filter label=com.docker.compose.project={PROJECT}")
        == ""
    )
    assert took <= DOWN_WITHIN_S
    site.right(f"{COMPOSE} up -d 2>/dev/null")
    wait_for_health(site)
    assert site.number("SELECT count(*) FROM analytics_events WHERE service = 'crash-service'") > 0


def of(site: Site, service: str) -> list[dict[str, Any]]:
    """The containers of a service."""
    label = "com.docker.compose.service"
    return [each for each in site.containers() if each["Config"]["Labels"][label] == service]
