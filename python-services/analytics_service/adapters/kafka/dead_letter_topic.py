"""Copies of dead letters on the dead-letter topic: original key and bytes, headers as in Kafka's KIP-1034."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from kafka import KafkaProducer
from kafka.errors import KafkaError

from analytics_service.adapters.kafka.raw_producer import (
    ACKNOWLEDGE_TIMEOUT_S,
    REFUSALS,
    open_raw_producer,
    wire_value,
)
from analytics_service.adapters.timescale.dead_letters import (
    PendingCopy,
    lock_pending_copies,
    mark_copies,
)
from analytics_service.adapters.timescale.pool import Pool
from analytics_service.config import Settings

logger = logging.getLogger(__name__)

BATCH_ROWS = 500
BATCH_BYTES = 8 * 1024 * 1024


def headers_of(copy: PendingCopy) -> list[tuple[str, bytes]]:
    """Where the message came from and why it was not stored; numbers as decimal text."""
    prefix = "__streams.errors."
    return [
        (prefix + "exception", b"stacklens.EventRejected"),
        (prefix + "message", copy.letter.detail.encode()),
        (prefix + "topic", copy.topic.encode()),
        (prefix + "partition", str(copy.letter.partition).encode()),
        (prefix + "offset", str(copy.letter.offset).encode()),
        ("stacklens.reason", copy.letter.reason.encode()),
    ]


class DeadLetterRelay:
    """Publishes what the table still marks as pending; at least once, any number of workers side by side."""

    def __init__(
        self, settings: Settings, pool: Pool, producer: Callable[[], KafkaProducer] | None = None
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._make_producer = producer or self._connect
        self._producer: KafkaProducer | None = None

    def step(self) -> int:
        """Publish one batch; returns how many copies were settled. Raises KafkaError or psycopg2 errors."""
        with self._pool.connection() as conn, conn.cursor() as cur:
            cur.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")
            copies = lock_pending_copies(
                cur, self._settings.kafka_input_topic, BATCH_ROWS, BATCH_BYTES
            )
            if not copies:
                return 0
            sent, refused = self._publish(copies)
            mark_copies(cur, sent, "sent")
            mark_copies(cur, refused, "refused")
        return len(sent) + len(refused)

    def close(self) -> None:
        """Close the producer."""
        if self._producer is not None:
            self._producer.close(timeout=5)
            self._producer = None

    def _publish(self, copies: Sequence[PendingCopy]) -> tuple[list[int], list[int]]:
        if self._producer is None:
            self._producer = self._make_producer()
        sent: list[int] = []
        refused: list[int] = []
        waiting = []
        for copy in copies:
            try:
                future = self._producer.send(
                    self._settings.kafka_dlq_topic,
                    value=wire_value(copy.letter.value),
                    key=copy.letter.key,
                    headers=headers_of(copy),
                )
                waiting.append((copy, future))
            except REFUSALS as error:
                self._refuse(copy, error, refused)
        # Not flush(): it fails when kafka-python splits a batch that is too large for the topic.
        for copy, future in waiting:
            try:
                future.get(timeout=ACKNOWLEDGE_TIMEOUT_S)
                sent.append(copy.id)
            except REFUSALS as error:
                self._refuse(copy, error, refused)
        return sent, refused

    @staticmethod
    def _refuse(copy: PendingCopy, error: KafkaError, refused: list[int]) -> None:
        logger.warning("the broker refused the copy of dead letter %d: %r", copy.id, error)
        refused.append(copy.id)

    def _connect(self) -> KafkaProducer:
        return open_raw_producer(self._settings, "stacklens-dead-letters")
