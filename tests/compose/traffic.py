"""A small stream of numbered events from the host, and what became of them."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from tests.compose.site import Site
from tests.waiting import wait_until

TOPIC = "stacklens-analytics"
RATE = 40
# A broker that is away is the point here; the library would log every attempt.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


class Traffic:
    """Sends events of one service until it is left; knows which of them the broker has acknowledged."""

    def __init__(self, service: str, servers: str = "localhost:9092") -> None:
        self.service = service
        self._servers = servers.split(",")
        self._sent: list[Any] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, name="traffic", daemon=True)
        self._failure: KafkaError | None = None

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the stream; returns when every event is acknowledged or given up."""
        self._over.set()
        self._thread.join(300)
        assert not self._thread.is_alive(), "the producer does not end"
        if self._failure is not None:
            raise self._failure

    @property
    def acknowledged(self) -> set[str]:
        """Numbers of the events that the broker has."""
        return {number for number, future in self._sent if future.succeeded()}

    @property
    def sent(self) -> int:
        """How many were handed over, whatever became of them."""
        return len(self._sent)

    def _send(self) -> None:
        try:
            producer = KafkaProducer(
                bootstrap_servers=self._servers,
                acks="all",
                enable_idempotence=True,
                delivery_timeout_ms=120_000,
                max_block_ms=120_000,
            )
            began = time.monotonic()
            while not self._over.wait(max(0.0, began + self.sent / RATE - time.monotonic())):
                number = f"{self.service}-{self.sent}"
                event = {
                    "timestamp": datetime.now(UTC).isoformat(),
                    "service": self.service,
                    "level": "info",
                    "request_id": number,
                    "latency_ms": 5.0,
                }
                self._sent.append((number, producer.send(TOPIC, json.dumps(event).encode())))
            producer.flush(120)
            producer.close()
        except KafkaError as error:
            self._failure = error


def check_stored(site: Site, traffic: Traffic, deadline_s: float = 120) -> None:
    """Every acknowledged event is stored, none twice, and the windows count the same."""
    acknowledged, service = traffic.acknowledged, traffic.service
    assert len(acknowledged) > RATE, "hardly anything was sent"
    rows = f"FROM analytics_events WHERE service = '{service}'"

    def stored() -> int:
        return site.number(f"SELECT count(DISTINCT request_id) {rows}")

    wait_until(lambda: stored() >= len(acknowledged), deadline_s, f"{len(acknowledged)} are stored")
    numbers = site.right(
        f'psql -h localhost -U stacklens_user -d stacklens -Atc "SELECT request_id {rows}"'
    ).split()
    assert acknowledged - set(numbers) == set(), "lost"
    assert len(numbers) == len(set(numbers)), "twice"
    for window in ("1min", "5min", "1hour"):
        counted = site.number(
            f"SELECT sum(total_requests) FROM analytics_metrics_{window}"  # noqa: S608  # our own names
            f" WHERE service = '{service}'"
        )
        assert counted == len(numbers), window
    print(
        f"{service}: {traffic.sent} sent, {len(acknowledged)} acknowledged, {len(numbers)} stored"
    )
