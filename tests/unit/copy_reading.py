"""COPY's text format read back, by rules written down from PostgreSQL's documentation."""

from __future__ import annotations

import re

SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def read_field(text: str) -> str | None:
    """A field as COPY FROM reads it: `\\N` is NULL, a backslash begins an escape."""
    if text == "\\N":
        return None
    assert "\t" not in text
    assert "\n" not in text
    assert "\r" not in text

    def meaning(found: re.Match[str]) -> str:
        escaped = found[1]
        if escaped[0] == "x":
            return chr(int(escaped[1:], 16))
        if escaped[0] in "01234567":
            return chr(int(escaped, 8))
        return SHORT.get(escaped, escaped)

    return re.sub(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", meaning, text, flags=re.DOTALL)


def read_rows(text: str) -> list[list[str | None]]:
    """Rows and fields as COPY FROM reads them."""
    assert text == "" or text.endswith("\n")
    rows = text.split("\n")[:-1]
    assert "\\." not in rows, "which would end the data"
    return [[read_field(each) for each in row.split("\t")] for row in rows]
