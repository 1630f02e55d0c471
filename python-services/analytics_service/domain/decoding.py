"""Decode a batch of message values."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from analytics_service.domain.events import Event, EventRules, Rejection, parse_event


@dataclass(slots=True)
class DecodedBatch:
    """What a batch of values holds: valid events with their positions, and the rejected rest.

    ``positions[i]`` is the index in the batch of ``events[i]``; both and ``rejected`` are in the
    order of the batch. ``plain`` promises that no text of any event holds a tab, newline, carriage
    return or backslash.
    """

    events: list[Event] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    rejected: list[tuple[int, Rejection]] = field(default_factory=list)
    plain: bool = True


def decode_batch(values: Sequence[bytes | None], rules: EventRules, now_us: int) -> DecodedBatch:
    """The same as `parse_event` on each value."""
    batch = DecodedBatch(plain=not any(value and b"\\" in value for value in values))
    for position, value in enumerate(values):
        outcome = parse_event(value, rules, now_us)
        if isinstance(outcome, Rejection):
            batch.rejected.append((position, outcome))
        else:
            batch.events.append(outcome)
            batch.positions.append(position)
    return batch
