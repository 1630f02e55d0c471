"""PostgreSQL's COPY text format: rows as tab-separated lines, `\\N` for NULL, backslash escapes.

Source: PostgreSQL documentation, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Sequence

NULL = "\\N"
# The backslash first, or it would escape the escapes.
ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}

_ESCAPES = str.maketrans(ESCAPED)


def escape(text: str) -> str:
    """`text` as a COPY field that is not NULL."""
    return text.translate(_ESCAPES)


def array(values: Sequence[object]) -> str:
    """An array of numbers, None as NULL."""
    # The text of a list is made in one go; PostgreSQL takes the spaces in it.
    return "{" + str(list(values))[1:-1].replace("None", "NULL") + "}"
