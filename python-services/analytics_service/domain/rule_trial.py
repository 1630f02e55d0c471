"""Rules tried on recorded windows: which transitions they would have made. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.alerts import Transition, next_due_s
from analytics_service.domain.evaluation import NOTHING_HELD, Key, View, WindowRows, changes
from analytics_service.domain.rules import EVERY_SERVICE, Rule
from analytics_service.domain.windows import WINDOWS, Window, window_named

TICK_S: Final = 10
# Long enough after the end for every alert to run out of data.
AFTERWARDS_S: Final = 900

Figures = tuple[int, Mapping[str, float | None]]
"""The requests of a window, and its metrics by name."""
Rows = Mapping[str, Mapping[int, Figures]]
"""The windows of one size: service -> start (epoch seconds) -> figures."""


@dataclass(frozen=True, slots=True)
class Told:
    """One transition of the rule and service."""

    key: Key
    transition: Transition


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert that has fired and is over: every transition from its beginning to its end."""

    rule: Rule
    service: str
    transitions: tuple[Transition, ...]

    @property
    def pending_since_s(self) -> float:
        """When the rule was first seen violated."""
        return self.transitions[0].at_s

    @property
    def active_since_s(self) -> float:
        """When it fired."""
        return next(told.at_s for told in self.transitions if told.to_status == "active")

    @property
    def resolved_at_s(self) -> float:
        """When it was over."""
        return self.transitions[-1].at_s


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
    starts = [start for rows in recorded.values() for each in rows.values() for start in each]
    if not starts:
        return
    longest = max(window.seconds for window in WINDOWS if window.name in recorded)
    moments = range(min(starts), max(starts) + longest + AFTERWARDS_S, TICK_S)
    found = [
        (at_s, place, service, transition)
        for place, rule in enumerate(rules)
        if rule.enabled and rule.window_size in recorded
        for service in _services(rule, recorded[rule.window_size])
        for at_s, transition in _transitions(rule, service, recorded, moments)
    ]
    # In their order within an alert: the sort is stable.
    for _, place, service, transition in sorted(found, key=lambda each: each[:3]):
        yield Told((rules[place].rule_name, service), transition)


def episodes_within(
    rule: Rule, service: str, recorded: Mapping[str, Rows], since_s: int, until_s: int
) -> list[Episode]:
    """The alerts that the rule would have fired over this service and that would have ended within the range.

    `recorded` holds the windows within [since_s, until_s), which begins with a window of every size. What is violated
    from the beginning of the range on counts from its first window; what still fires at its end is left out.
    """
    found: list[Episode] = []
    under_way: list[Transition] = []
    for _, transition in _transitions(rule, service, recorded, range(since_s, until_s + 1, TICK_S)):
        under_way.append(transition)
        if transition.to_status == "resolved":
            found.append(Episode(rule, service, tuple(under_way)))
            under_way = []
    return found


def _services(rule: Rule, rows: Rows) -> list[str]:
    """The services that the rule may have something to say about."""
    return sorted(rows) if rule.service == EVERY_SERVICE else [rule.service]


def _transitions(
    rule: Rule, service: str, recorded: Mapping[str, Rows], moments: range
) -> Iterator[tuple[int, Transition]]:
    """Each transition and the moment at which it is seen, as if each of the `moments` were looked at.

    Most need not be: a look that has changed nothing is first worth another when a window ends or a clock runs out.
    """
    window = window_named(rule.window_size)
    rows = recorded[window.name].get(service, {})
    # Heard of in windows of another size it may be new, and its first one of this size not over.
    heard_s = min(rows, default=moments.stop) + window.seconds
    held = NOTHING_HELD
    # Before the first window is over nothing is known, not even that there are no data.
    now = _from(moments, window.start_of(moments.start - 1) + 2 * window.seconds)
    while now < moments.stop:
        known = (service,) if heard_s <= now else ()
        seen = View(float(now), {window.name: _visible(rows, service, window, now)}, known)
        holding = {} if held is NOTHING_HELD else {(rule.rule_name, service): held}
        change = next(iter(changes((rule,), holding, seen)), None)
        if change is None:
            due_s = next_due_s(rule, held.state, now)
            turn = window.start_of(now) + window.seconds
            now = _from(moments, turn if due_s is None else min(turn, due_s))
            continue
        held = replace(change.before, state=change.after)
        for transition in change.transitions:
            yield now, transition
        now += moments.step


def _from(moments: range, at_s: float) -> int:
    """The first of the moments, were there no end to them, that is not before `at_s`."""
    return moments.start - int((moments.start - at_s) // moments.step) * moments.step


def _visible(rows: Mapping[int, Figures], service: str, window: Window, now_s: int) -> WindowRows:
    """The newest window that is over, if the service has it."""
    start = window.start_of(now_s) - window.seconds
    return WindowRows(start, {service: {start: rows[start]}} if start in rows else {})


def _rows(cells: Mapping[Cell, Delta]) -> Rows:
    rows: dict[str, dict[int, Figures]] = {}
    for (service, start), delta in cells.items():
        rows.setdefault(service, {})[start] = (delta.total, delta.to_state())
    return rows
