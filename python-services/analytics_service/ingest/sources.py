"""What events came from: keys and values of messages, without the records around them, which are memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sources:
    """Keys and values of messages, beside each other; `keys` is None when no message has one."""

    values: Sequence[bytes | None] = ()
    keys: Sequence[bytes | None] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def key(self, place: int) -> bytes | None:
        """The key of the message at a place."""
        return None if self.keys is None else self.keys[place]

    def slice(self, first: int, end: int) -> Sources:
        """The messages from place `first` up to, not including, `end`."""
        inside = slice(first, end)
        return Sources(self.values[inside], None if self.keys is None else self.keys[inside])

    def take(self, places: Sequence[int]) -> Sources:
        """The messages at these places."""
        keys = None if self.keys is None else [self.keys[place] for place in places]
        return Sources([self.values[place] for place in places], keys)
