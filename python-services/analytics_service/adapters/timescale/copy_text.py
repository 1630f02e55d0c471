"""PostgreSQL's COPY text format: rows as tab-separated lines, `\\N` for NULL, backslash escapes.

Source: PostgreSQL documentation, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from msgspec import json

NULL = "\\N"
# The backslash first, or it would escape the escapes.
ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_FLOATS = {float, type(None)}
_LISTS = {list}
_INTEGERS = {int}
_TEXTS = {str}
_ESCAPES = str.maketrans(ESCAPED)


def escape(text: str) -> str:
    """`text` as a COPY field that is not NULL."""
    return text.translate(_ESCAPES)


def field(value: object) -> str:
    """Any value whose text PostgreSQL reads back, None as NULL; bytes as bytea, lists as arrays of numbers."""
    if value is None:
        return NULL
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\\\x" + value.hex()
    if isinstance(value, (list, tuple)):
        return array(value)
    return escape(str(value))


def array(values: Sequence[object]) -> str:
    """An array of numbers, None as NULL."""
    # The text of a list is made in one go; PostgreSQL takes the spaces in it.
    return "{" + str(list(values))[1:-1].replace("None", "NULL") + "}"


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows of any values, all of the same length, as COPY text; for rows of windows, not for raw events."""
    # A column at a time: a flush of many services formats hundreds of thousands of values.
    columns = [_fields(column) for column in zip(*rows, strict=True)]
    return "".join([line + "\n" for line in map("\t".join, zip(*columns, strict=True))])


def _fields(values: Sequence[object]) -> Iterable[str]:
    # JSON has the same numbers, shortest of all that are read back alike, and msgspec writes a column in one go: half
    # the time of a repr each. What is not finite is null there, too, and cannot be told apart: field by field then.
    kinds = set(map(type, values))
    if kinds <= _FLOATS:
        text = json.encode(values).decode()[1:-1]
        if text.count("null") == values.count(None):
            return text.replace("null", NULL).split(",")
    if kinds == _LISTS:
        return ["{" + items + "}" for items in json.encode(values).decode()[2:-2].split("],[")]
    if kinds == _INTEGERS:
        return map(repr, values)
    if kinds == _TEXTS:
        texts = cast(Sequence[str], values)
        together = "".join(texts)
        if not any(special in together for special in ESCAPED):
            return texts
    return map(field, values)
