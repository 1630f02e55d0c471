"""PostgreSQL's COPY text format: rows as tab-separated lines, `\\N` for NULL, backslash escapes.

Source: PostgreSQL documentation, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NULL = "\\N"
# The backslash first, or it would escape the escapes.
ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPES = str.maketrans(ESCAPED)


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
