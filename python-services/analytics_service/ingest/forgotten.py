"""Events that have been used and dropped from memory, decoded again in the rare case that somebody looks once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

from analytics_service.domain.events import Event


class Forgotten(Sequence[Event]):
    """As long as the events it stands for; any look at them decodes all of them anew."""

    def __init__(self, count: int, again: Callable[[], Sequence[Event]]) -> None:
        self._count = count
        self._again = again

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Event]:
        return iter(self._again())

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...

    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        return self._again()[index]
