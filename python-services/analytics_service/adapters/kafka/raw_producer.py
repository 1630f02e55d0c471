"""A Kafka producer for bytes as they are, tombstones and headers included."""

from __future__ import annotations

from kafka import KafkaProducer
from kafka.errors import CorruptRecordError, InvalidRecordError, MessageSizeTooLargeError
from kafka.serializer import Serializer

from analytics_service.adapters.kafka.topics import (
    DEAD_LETTER_MAX_BYTES,
    RECONNECT_BACKOFF_MAX_MS,
)
from analytics_service.config import Settings

ACKNOWLEDGE_TIMEOUT_S = 20
# Nobody waits for longer than that, and a producer that still holds a message neither closes nor lets it go.
GIVEN_UP_AFTER_MS = 19_000
REQUEST_TIMEOUT_MS = 10_000
# These say that the message itself will never be taken; any other error is the broker's trouble and is tried again.
REFUSALS = (MessageSizeTooLargeError, InvalidRecordError, CorruptRecordError)
# kafka-python does not take None for both key and value, though Kafka does: it is made None on the way out.
_TOMBSTONE = object()


class _Values(Serializer):  # type: ignore[misc]  # the library is not typed
    def serialize(self, topic: str, headers: object, data: object) -> object:
        """Bytes as they are."""
        del topic, headers
        return None if data is _TOMBSTONE else data


def wire_value(value: bytes | None) -> object:
    """What `send` of a raw producer takes for this value."""
    return _TOMBSTONE if value is None else value


def open_raw_producer(settings: Settings, client_id: str) -> KafkaProducer:
    """A producer whose values go through `wire_value`. Raises KafkaError when no broker answers."""
    return KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
        client_id=client_id,
        acks="all",
        # An idempotent producer takes a refused message as fatal and fails all its neighbours with it.
        enable_idempotence=False,
        max_request_size=DEAD_LETTER_MAX_BYTES,
        reconnect_backoff_max_ms=RECONNECT_BACKOFF_MAX_MS,
        max_block_ms=ACKNOWLEDGE_TIMEOUT_S * 1000,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        delivery_timeout_ms=GIVEN_UP_AFTER_MS,
        linger_ms=5,
        value_serializer=_Values(),
        allow_auto_create_topics=False,
    )
