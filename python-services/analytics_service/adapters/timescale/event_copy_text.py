"""Raw events as COPY text, a column at a time."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from analytics_service.adapters.timescale.copy_columns import fields, lines, timestamp_fields
from analytics_service.domain.event_columns import EventColumns
from analytics_service.domain.events import EVENT_FIELDS

EVENT_COLUMNS = (
    "timestamp", "service", "level", "latency_ms", "risk_score", "user_id", "request_id", "trace_id", "span_id",
    "message", "error_message", "source_ip", "geo_country", "user_subscription_tier", "topic_incarnation",
    "kafka_partition", "kafka_offset",
)  # fmt: skip


def event_lines(
    events: EventColumns, offsets: Any, incarnation: int, partition: int, *, plain: bool = False
) -> memoryview:
    """COPY lines of raw events of one partition, in UTF-8, columns as in EVENT_COLUMNS.

    ``offsets`` (integers, in an array or a sequence) run beside ``events``. ``plain``: no text holds a character that
    COPY wants escaped; the caller knows it from the undecoded bytes, which spares looking for them.
    """
    texts = [timestamp_fields(events.column("timestamp_us"))]
    texts += [fields(events.column(name), plain=plain) for name in EVENT_FIELDS[1:]]
    place = (pa.scalar(str(incarnation)), pa.scalar(str(partition)))
    return lines([*texts, *place, fields(pa.array(offsets, pa.int64()))])
