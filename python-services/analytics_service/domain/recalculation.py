"""What a recalculation consists of: windows built anew, each kind from the next finer one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analytics_service.domain.windows import Window

HOUR_S: Final = 3600

Span = tuple[int, int]
"""[from, to) in epoch seconds."""


class RangeRefused(ValueError):
    """A range that cannot be computed anew; the message says why, and from when one can."""


@dataclass(frozen=True, slots=True)
class Step:
    """Every window of one size; from those of `source`, or from raw events when that is None."""

    window: Window
    source: Window | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps, in their order, over [start_s, end_s): whole hours in epoch seconds."""

    start_s: int
    end_s: int
    steps: tuple[Step, ...]

    @property
    def batches(self) -> int:
        """How many windows there are in all steps, with or without events."""
        return sum(self._windows(step, self.end_s) for step in self.steps)

    def batches_before(self, step: Step, position_s: int) -> int:
        """How many of them come before the window of `step` that starts at `position_s`."""
        place = self.steps.index(step)
        earlier = sum(self._windows(each, self.end_s) for each in self.steps[:place])
        return earlier + self._windows(step, position_s)

    def from_position(self, name: str | None, position_s: int | None) -> Iterator[tuple[Step, int]]:
        """The steps that are left, each with the moment from which on it is to be done.

        `name` is the window of the step that was under way and `position_s` how far it had come; None: nothing was.
        """
        names = [step.window.name for step in self.steps]
        first = names.index(name) if name in names else 0
        for place, step in enumerate(self.steps[first:]):
            resumed = place == 0 and name in names and position_s is not None
            yield step, position_s if resumed and position_s is not None else self.start_s

    def _windows(self, step: Step, until_s: int) -> int:
        return (until_s - self.start_s) // step.window.seconds


def plan_recalculation(start_s: int, end_s: int, windows: Sequence[Window]) -> Plan:
    """Rebuild `windows` (at least one, finest first) over [start_s, end_s), rounded outwards to whole hours."""
    sources = (None, *windows[:-1])
    steps = tuple(Step(window, source) for window, source in zip(windows, sources, strict=True))
    return Plan(start_s - start_s % HOUR_S, -(-end_s // HOUR_S) * HOUR_S, steps)


def grouped(sizes: Mapping[str, int], most_services: int, most_events: int) -> list[list[str]]:
    """The services in their order, in groups within both limits; a service beyond them is alone."""
    groups: list[list[str]] = []
    events = 0
    for service in sorted(sizes):
        size = sizes[service]
        if not groups or len(groups[-1]) >= most_services or events + size > most_events:
            groups.append([])
            events = 0
        groups[-1].append(service)
        events += size
    return groups
