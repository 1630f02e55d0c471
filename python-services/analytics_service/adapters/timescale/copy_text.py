"""PostgreSQL's COPY text format: rows as tab-separated lines, `\\N` for NULL, backslash escapes.

Source: PostgreSQL documentation, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

NULL = "\\N"
# The backslash first, or it would escape the escapes.
ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPES = str.maketrans(ESCAPED)


def escape(text: str) -> str:
    """`text` as a COPY field that is not NULL."""
    return text.translate(_ESCAPES)


def field(value: object) -> str:
    """Any value whose text PostgreSQL reads back, None as NULL; bytes as bytea, lists as arrays of numbers."""
    usual = _USUAL.get(type(value))
    if usual is not None:
        return usual(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytea(value)
    if isinstance(value, (list, tuple)):
        return _array(value)
    return escape(str(value))


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows of any values as COPY text; for the rows of windows and letters, not for raw events."""
    return "".join(["\t".join(map(field, row)) + "\n" for row in rows])


def _null(_: object) -> str:
    return NULL


def _bytea(value: bytes | bytearray | memoryview) -> str:
    return "\\\\x" + value.hex()


def _array(value: list[Any] | tuple[Any, ...]) -> str:
    # The text of a list is made in one go; PostgreSQL takes the spaces in it.
    return "{" + str(list(value))[1:-1] + "}"


# A flush of many services formats hundreds of thousands of values: one look at the type of each.
_USUAL: dict[type, Callable[[Any], str]] = {
    type(None): _null,
    int: int.__repr__,
    float: float.__repr__,
    str: escape,
    bytes: _bytea,
    list: _array,
}
