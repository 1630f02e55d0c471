"""Publishes the outbox to the alert topic: each alert's messages in order, at least once."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence

from kafka import KafkaProducer
from kafka.errors import KafkaError
from psycopg2.extensions import connection

from analytics_service.adapters.kafka.raw_producer import ACKNOWLEDGE_TIMEOUT_S, open_raw_producer
from analytics_service.adapters.timescale.alert_outbox import (
    OutboxMessage,
    mark_sent,
    unsent,
)
from analytics_service.adapters.timescale.leases import Lease, fence
from analytics_service.config import Settings

BATCH = 500
MakeProducer = Callable[[Settings, str], KafkaProducer]


class OutboxRelay:
    """Used by one thread. A relay that wakes up late may publish old messages again: their `sequence` tells."""

    def __init__(self, settings: Settings, make: MakeProducer = open_raw_producer) -> None:
        self._settings = settings
        self._make = make
        self._producer: KafkaProducer | None = None

    def producer(self) -> KafkaProducer:
        """The producer, a new one if there is none. Raises KafkaError when no broker answers."""
        if self._producer is None:
            self._producer = self._make(self._settings, "stacklens-alerts")
        return self._producer

    def step(self, conn: connection, lease: Lease) -> int:
        """Publish the oldest messages and mark them; returns how many. Commits.

        Raises KafkaError when the broker fails, LeaseLost, psycopg2 errors: what was published is then published again.
        """
        with conn, conn.cursor() as cur:
            messages = unsent(cur, BATCH)
        if not messages:
            return 0
        producer = self.producer()
        for turn in turns(messages):
            waiting = [
                producer.send(self._settings.kafka_output_topic, key=each.key, value=each.value)
                for each in turn
            ]
            for future in waiting:
                future.get(timeout=ACKNOWLEDGE_TIMEOUT_S)
        with conn, conn.cursor() as cur:
            fence(cur, lease)
            mark_sent(cur, [each.id for each in messages])
        return len(messages)

    def close(self) -> None:
        """Close the producer; the next step opens another one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError):  # what it still holds is published again
                producer.close(timeout=2)


def turns(messages: Sequence[OutboxMessage]) -> list[list[OutboxMessage]]:
    """The messages, each key's first ones in the first turn, its second ones in the second, and so on.

    The next turn begins when the broker has this one: a client that tries failed requests again may otherwise put a
    later step of an episode before an earlier one, and readers ignore what comes after a later one.
    """
    found: list[list[OutboxMessage]] = []
    seen: Counter[bytes] = Counter()
    for message in messages:
        if seen[message.key] == len(found):
            found.append([])
        found[seen[message.key]].append(message)
        seen[message.key] += 1
    return found
