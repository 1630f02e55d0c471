"""Which texts a table can hold. Pure."""

from __future__ import annotations


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold it: no NUL, and no half of a surrogate pair (what is not UTF-8 arrives as one)."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
