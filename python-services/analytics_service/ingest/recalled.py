"""Events that may be dropped once used, and are decoded again in the rare case that somebody looks once more."""

from __future__ import annotations

from collections.abc import Callable

from analytics_service.domain.event_columns import EventColumns


class Recalled:
    """Events of a part. `again` decodes them anew; without it they are kept."""

    def __init__(
        self, columns: EventColumns, again: Callable[[], EventColumns] | None = None
    ) -> None:
        self._count = len(columns)
        self._columns: EventColumns | None = columns
        self._again = again

    def __len__(self) -> int:
        return self._count

    @property
    def columns(self) -> EventColumns:
        """The events; decoded anew at each look once they are forgotten."""
        columns = self._columns
        if columns is not None:
            return columns
        assert self._again is not None
        return self._again()

    def forget(self) -> None:
        """Drop them from memory if they can be had again."""
        if self._again is not None:
            self._columns = None
