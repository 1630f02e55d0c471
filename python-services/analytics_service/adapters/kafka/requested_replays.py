"""Dead letters that somebody asked to be replayed, sent to the input topic by a worker."""

from __future__ import annotations

import logging

from kafka import KafkaProducer

from analytics_service.adapters.kafka.letter_replays import send_again
from analytics_service.adapters.kafka.raw_producer import open_raw_producer
from analytics_service.adapters.timescale.pool import Pool
from analytics_service.adapters.timescale.requested_replays import (
    forget_settled,
    lock_requested,
    mark_refused,
    mark_sent,
)
from analytics_service.config import Settings

logger = logging.getLogger(__name__)

BATCH_ROWS = 100


class RequestedReplays:
    """Sends what `dead_letter_replays` asks for; any number of workers side by side.

    A crash between the broker and the commit sends letters a second time, which does no harm: each is
    stored only while it is pending.
    """

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._settings = settings
        self._pool = pool
        self._producer: KafkaProducer | None = None

    def step(self) -> int:
        """Send some; returns how many requests were settled. Raises KafkaError or psycopg2 errors."""
        with self._pool.connection() as conn, conn.cursor() as cur:
            cur.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")
            letters = lock_requested(cur, self._settings.kafka_input_topic, BATCH_ROWS)
            if not letters:
                return forget_settled(cur)
            if self._producer is None:
                self._producer = open_raw_producer(self._settings, "stacklens-requested-replays")
            sent = send_again(self._producer, letters)
            mark_sent(cur, sent.taken)
            mark_refused(cur, sent.refused)
        logger.info(
            "replayed dead letters on request: %d sent, %d refused by the broker",
            len(sent.taken),
            len(sent.refused),
        )
        return len(letters)

    def close(self) -> None:
        """Close the producer."""
        if self._producer is not None:
            self._producer.close(timeout=5)
            self._producer = None
