"""PostgreSQL's COPY text format: rows as tab-separated lines, `\\N` for NULL, backslash escapes.

Source: PostgreSQL documentation, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import msgspec
import numpy as np

from analytics_service.domain.events import Event

NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

EVENT_COLUMNS = (
    "timestamp", "service", "level", "latency_ms", "risk_score", "user_id", "request_id", "trace_id", "span_id",
    "message", "error_message", "source_ip", "geo_country", "user_subscription_tier", "topic_incarnation",
    "kafka_partition", "kafka_offset",
)  # fmt: skip


def escape(text: str) -> str:
    """`text` as a COPY field that is not NULL."""
    return text.translate(_ESCAPES)


def field(value: object) -> str:
    """Any value whose text PostgreSQL reads back, None as NULL; bytes as bytea, lists as arrays of numbers."""
    if value is None:
        return NULL
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\\\x" + bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return "{" + ",".join(map(str, value)) + "}"
    return escape(str(value))


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows of any values as COPY text; for the few rows of a flush, not for raw events."""
    return "".join("\t".join(map(field, row)) + "\n" for row in rows)


def timestamp_texts(timestamps_us: Sequence[int]) -> list[str]:
    """Epoch microseconds as ISO 8601 texts in UTC, without the zone."""
    texts: list[str] = np.datetime_as_string(
        np.array(timestamps_us, dtype=np.int64).view("datetime64[us]")
    ).tolist()
    return texts


def number_texts(numbers: Sequence[float | None]) -> list[str]:
    """Finite numbers in the shortest text that reads back the same, None as NULL.

    A JSON encoder does it for a whole column in less time than Python's `repr` takes for a third of it.
    """
    return msgspec.json.encode(numbers)[1:-1].replace(b"null", NULL.encode()).decode().split(",")


def event_lines(
    events: Sequence[Event],
    offsets: Sequence[int],
    incarnation: int,
    partition: int,
    *,
    careful: Set[int] = frozenset(),
) -> str:
    """COPY lines of raw events of one partition, columns as in EVENT_COLUMNS; `offsets` runs beside `events`.

    `careful` are the offsets of events whose texts may hold a character that COPY wants escaped. The caller knows them
    from the undecoded bytes, which spares this loop a look at every field of the others.
    """
    if not events:
        return ""
    times = timestamp_texts([event.timestamp_us for event in events])
    latencies = number_texts([event.latency_ms for event in events])
    risks = number_texts([event.risk_score for event in events])
    n = NULL
    where = f"{incarnation}\t{partition}"
    # One expression a row: this is the most expensive line of the worker, and a call for each field would double it.
    rows = [
        f"{time}Z\t{e.service}\t{e.level}\t{latency}\t"
        f"{risk}\t{n if (t := e.user_id) is None else t}\t"
        f"{n if (t := e.request_id) is None else t}\t{n if (t := e.trace_id) is None else t}\t"
        f"{n if (t := e.span_id) is None else t}\t{n if (t := e.message) is None else t}\t"
        f"{n if (t := e.error_message) is None else t}\t{n if (t := e.source_ip) is None else t}\t"
        f"{n if (t := e.geo_country) is None else t}\t"
        f"{n if (t := e.user_subscription_tier) is None else t}\t{where}\t{offset}\n"
        for time, e, latency, risk, offset in zip(
            times, events, latencies, risks, offsets, strict=True
        )
    ]
    if careful:
        for i, offset in enumerate(offsets):
            if offset in careful:
                rows[i] = lines(
                    [(f"{times[i]}Z", *_fields(events[i]), incarnation, partition, offset)]
                )
    return "".join(rows)


def _fields(event: Event) -> tuple[object, ...]:
    return (
        event.service,
        event.level,
        event.latency_ms,
        event.risk_score,
        event.user_id,
        event.request_id,
        event.trace_id,
        event.span_id,
        event.message,
        event.error_message,
        event.source_ip,
        event.geo_country,
        event.user_subscription_tier,
    )
