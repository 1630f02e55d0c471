"""Raw events as COPY text, a column at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics_service.adapters.timescale.copy_text import ESCAPED, NULL
from analytics_service.domain.event_columns import EventColumns
from analytics_service.domain.events import EVENT_FIELDS

EVENT_COLUMNS = (
    "timestamp", "service", "level", "latency_ms", "risk_score", "user_id", "request_id", "trace_id", "span_id",
    "message", "error_message", "source_ip", "geo_country", "user_subscription_tier", "topic_incarnation",
    "kafka_partition", "kafka_offset",
)  # fmt: skip

_TEXT = pa.string()
_TAB = pa.scalar("\t")
_NO_TEXT = pa.scalar(None, _TEXT)
_SPECIAL = np.isin(np.arange(256), [ord(character) for character in ESCAPED])


def event_lines(
    events: EventColumns, offsets: Any, incarnation: int, partition: int, *, plain: bool = False
) -> memoryview:
    """COPY lines of raw events of one partition, in UTF-8, columns as in EVENT_COLUMNS.

    ``offsets`` (integers, in an array or a sequence) run beside ``events``. ``plain``: no text holds a character that
    COPY wants escaped; the caller knows it from the undecoded bytes, which spares looking for them.
    """
    last = f"\t{incarnation}\t{partition}\t"
    ends = pc.binary_join_element_wise(
        pa.scalar(""), pc.cast(pa.array(offsets, pa.int64()), _TEXT), last
    )
    ends = pc.binary_join_element_wise(ends, pa.scalar("\n"), "")
    fields = [timestamp_texts(events.column("timestamp_us"))]
    fields += [_field_texts(events.column(name), plain) for name in EVENT_FIELDS[1:]]
    rows = pc.binary_join_element_wise(
        *fields, _TAB, null_handling="replace", null_replacement=NULL
    )
    rows = pc.binary_join_element_wise(rows, ends, "")
    return _bytes_of(rows)


def timestamp_texts(timestamps_us: Any) -> Any:
    """Epoch microseconds (a pyarrow int64 array) as ISO 8601 texts in UTC."""
    times = pc.cast(pc.cast(timestamps_us, pa.timestamp("us")), _TEXT)
    return pc.binary_join_element_wise(times, pa.scalar("Z"), "")


def _field_texts(column: Any, plain: bool) -> Any:
    """The column as COPY fields, null where NULL is to be."""
    if column.null_count == len(column):
        return _NO_TEXT
    if column.type != _TEXT:
        return pc.cast(column, _TEXT)  # the shortest text that reads back the same
    if not plain and _holds_special(column):
        for character, escaped in ESCAPED.items():
            column = pc.replace_substring(column, character, escaped)
    return column


def _holds_special(texts: Any) -> bool:
    """Whether any text of a string array holds a character to be escaped; a look at the bytes of all together."""
    return bool(_SPECIAL[np.frombuffer(_bytes_of(texts), dtype=np.uint8)].any())


def _bytes_of(texts: Any) -> memoryview:
    """All texts of a string array, one behind the other."""
    bounds, data = texts.buffers()[1:]
    starts = memoryview(bounds).cast("i")
    return memoryview(data or b"")[starts[texts.offset] : starts[texts.offset + len(texts)]]
