"""Rules tried on recorded windows: which transitions they would have made. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.alerts import Transition
from analytics_service.domain.evaluation import Held, Key, View, WindowRows, changes
from analytics_service.domain.rules import Rule
from analytics_service.domain.windows import WINDOWS, Window

TICK_S: Final = 10
# Long enough after the end for every alert to run out of data.
AFTERWARDS_S: Final = 900

Rows = Mapping[str, Mapping[int, tuple[int, Mapping[str, float | None]]]]


@dataclass(frozen=True, slots=True)
class Told:
    """One transition of the rule and service."""

    key: Key
    transition: Transition


def windows_of(minutes: Mapping[Cell, Delta], rules: Sequence[Rule]) -> dict[str, Rows]:
    """The windows that the rules look at, by size, from the 1min deltas of all events."""
    sizes = {rule.window_size for rule in rules}
    return {
        window.name: _rows(roll_up(minutes, window)) for window in WINDOWS if window.name in sizes
    }


def trial(rules: Sequence[Rule], recorded: Mapping[str, Rows]) -> Iterator[Told]:
    """The transitions in the order of time, looking every ten seconds at windows that are over.

    A live evaluator looks at running windows as well and so may be up to a window earlier.
    """
    enabled = [rule for rule in rules if rule.enabled]
    starts = [start for rows in recorded.values() for each in rows.values() for start in each]
    if not starts or not enabled:
        return
    longest = max(window.seconds for window in WINDOWS if window.name in recorded)
    held: dict[Key, Held] = {}
    known: set[str] = set()
    for now in range(min(starts), max(starts) + longest + AFTERWARDS_S, TICK_S):
        windows = {
            window.name: _visible(recorded[window.name], window, now)
            for window in WINDOWS
            if window.name in recorded
        }
        known |= {service for each in windows.values() for service in each.rows}
        for change in changes(enabled, held, View(float(now), windows, known)):
            held[change.key] = replace(change.before, state=change.after)
            for transition in change.transitions:
                yield Told(change.key, transition)


def _visible(rows: Rows, window: Window, now_s: int) -> WindowRows:
    """The newest window that is over, of each service that has it."""
    start = window.start_of(now_s) - window.seconds
    return WindowRows(
        start, {service: {start: each[start]} for service, each in rows.items() if start in each}
    )


def _rows(cells: Mapping[Cell, Delta]) -> Rows:
    rows: dict[str, dict[int, tuple[int, Mapping[str, float | None]]]] = {}
    for (service, start), delta in cells.items():
        rows.setdefault(service, {})[start] = (delta.total, delta.to_state())
    return rows
