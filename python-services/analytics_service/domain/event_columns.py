"""Valid events as columns: what a batch is decoded into, and what folding and COPY work on.

A column at a time costs a tenth of an event at a time, and most of it runs without Python's lock.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analytics_service.domain.events import EVENT_FIELDS, Event

NUMBERS: Final = frozenset({"latency_ms", "risk_score"})
TEXTS: Final = tuple(name for name in EVENT_FIELDS[1:] if name not in NUMBERS)
SCHEMA: Final = pa.schema(
    [
        ("timestamp_us", pa.int64()),
        *((name, pa.float64() if name in NUMBERS else pa.string()) for name in EVENT_FIELDS[1:]),
    ]
)
"""Arrow types of the fields of `Event`, by their names and in their order; null is an absent field."""


class EventColumns:
    """Events, one array a field; never changed. The rules of `Event` hold for every row."""

    __slots__ = ("batch",)

    def __init__(self, batch: Any) -> None:
        """``batch``: a pyarrow RecordBatch of `SCHEMA`."""
        self.batch = batch

    @classmethod
    def of(cls, events: Sequence[Event]) -> Self:
        """The same events as columns."""
        arrays = [
            pa.array([getattr(event, field.name) for event in events], field.type)
            for field in SCHEMA
        ]
        return cls(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))

    @classmethod
    def concat(cls, parts: Sequence["EventColumns"]) -> Self:
        """All events of the parts, one part after the other."""
        if not parts:
            return cls(NONE.batch)
        if len(parts) == 1:
            return cls(parts[0].batch)
        return cls(pa.concat_batches([part.batch for part in parts]))

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def column(self, name: str) -> Any:
        """The pyarrow Array of a field."""
        return self.batch.column(name)

    @property
    def times_us(self) -> NDArray[np.int64]:
        """The timestamps in epoch microseconds."""
        times: NDArray[np.int64] = self.column("timestamp_us").to_numpy()
        return times

    def slice(self, first: int, end: int) -> Self:
        """The events from place ``first`` up to, not including, ``end``."""
        return type(self)(self.batch.slice(first, max(0, end - first)))

    def take(self, places: Sequence[int] | NDArray[np.int64]) -> Self:
        """The events at these places, in this order."""
        return type(self)(self.batch.take(pa.array(places, pa.int64())))

    def events(self) -> list[Event]:
        """The same as a list of events."""
        columns = [self.batch.column(name).to_pylist() for name in EVENT_FIELDS]
        return [Event(*fields) for fields in zip(*columns, strict=True)]


NONE: Final = EventColumns.of(())
"""No events."""
