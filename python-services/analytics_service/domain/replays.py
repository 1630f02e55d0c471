"""How a replayed message says which dead letter it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

HEADER: Final = "stacklens.dead-letter-id"
_LARGEST: Final = 2**63 - 1
_DIGITS: Final = 19


def replay_header(letter_id: int) -> tuple[str, bytes]:
    """The header of a replay of that dead letter."""
    return HEADER, str(letter_id).encode()


def replayed_letter(headers: Iterable[tuple[str, bytes | None]]) -> int | None:
    """The id of the dead letter that a message with these headers is a replay of.

    None when there is no such header, or none that we could have written: then it is a message like any other.
    """
    for name, value in headers:
        if name == HEADER and value and len(value) <= _DIGITS and value.isdigit():
            letter_id = int(value)
            if 0 < letter_id <= _LARGEST:
                return letter_id
    return None
