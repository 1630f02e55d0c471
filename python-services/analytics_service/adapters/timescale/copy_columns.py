"""Rows as COPY text, made a column at a time in Arrow, which does not need Python's lock for most of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics_service.adapters.timescale.copy_text import ESCAPED, NULL

_TEXT = pa.string()
_NO_TEXT = pa.scalar(None, _TEXT)
_SPECIAL = np.isin(np.arange(256), [ord(character) for character in ESCAPED])


def lines(columns: Sequence[Any]) -> memoryview:
    """COPY lines in UTF-8 of columns of fields, as the functions below give them: null is NULL.

    At least one of them is an array; a scalar stands in every row.
    """
    rows = pc.binary_join_element_wise(
        *columns, pa.scalar("\t"), null_handling="replace", null_replacement=NULL
    )
    return _bytes_of(pc.binary_join_element_wise(rows, pa.scalar("\n"), ""))


def fields(column: Any, *, plain: bool = False) -> Any:
    """A column of texts or numbers as fields; ``plain``: no text holds a character that COPY wants escaped."""
    if column.null_count == len(column):
        return _NO_TEXT
    if column.type != _TEXT:
        return pc.cast(column, _TEXT)  # the shortest text that reads back the same
    if not plain and _holds_special(column):
        for character, escaped in ESCAPED.items():
            column = pc.replace_substring(column, character, escaped)
    return column


def timestamp_fields(timestamps_us: Any) -> Any:
    """Epoch microseconds (a pyarrow int64 array) as ISO 8601 texts in UTC."""
    times = pc.cast(pc.cast(timestamps_us, pa.timestamp("us")), _TEXT)
    return pc.binary_join_element_wise(times, pa.scalar("Z"), "")


def array_fields(bounds: Any, values: Any) -> Any:
    """Arrays of integers, one behind the other in `values`; `bounds`: where each begins, and the last one ends."""
    texts = pc.cast(pa.array(values), _TEXT)
    items = pc.binary_join(pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), texts), ",")
    return pc.binary_join_element_wise(pa.scalar("{"), items, pa.scalar("}"), "")


def bytes_fields(values: Sequence[bytes | None]) -> Any:
    """Byte strings as bytea."""
    return pa.array([None if value is None else "\\\\x" + value.hex() for value in values], _TEXT)


def _holds_special(texts: Any) -> bool:
    """Whether any text of a string array holds a character to be escaped; a look at the bytes of all together."""
    return bool(_SPECIAL[np.frombuffer(_bytes_of(texts), dtype=np.uint8)].any())


def _bytes_of(texts: Any) -> memoryview:
    """All texts of a string array, one behind the other."""
    bounds, data = texts.buffers()[1:]
    starts = memoryview(bounds).cast("i")
    return memoryview(data or b"")[starts[texts.offset] : starts[texts.offset + len(texts)]]
