"""One look at everything: which alerts change, given rules, states and windows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analytics_service.domain.alerts import (
    INACTIVE,
    AlertState,
    Observation,
    Reading,
    Transition,
    close,
    judge,
    step,
)
from analytics_service.domain.rules import EVERY_SERVICE, Rule

Key = tuple[str, str]
"""(rule name, service)."""


@dataclass(frozen=True, slots=True)
class About:
    """What an alert is about, as it was when it began: its rule may be gone since."""

    severity: str
    metric_name: str
    window_size: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Held:
    """A state as stored: the open alert's id and episode (None: there is none), and its last sequence."""

    state: AlertState
    alert_id: int | None = None
    episode_id: str | None = None
    sequence: int = 0
    fired: About | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What one look, or the hand of `actor`, has changed for a rule and a service.

    `value` is the metric's last one, seen in the window that begins at `window_start_s`.
    """

    key: Key
    rule: Rule | None
    before: Held
    after: AlertState
    transitions: Sequence[Transition]
    value: float | None
    actor: str | None = None
    window_start_s: float | None = None


NOTHING_HELD: Final = Held(INACTIVE)
RULE_GONE: Final = "the rule was removed, disabled or changed to watch other services"


@dataclass(frozen=True, slots=True)
class WindowRows:
    """The newest windows of one size, by service: start (epoch seconds) -> requests and metrics by name.

    `complete_start_s` is the start of the newest window that is complete.
    """

    complete_start_s: int
    rows: Mapping[str, Mapping[int, tuple[int, Mapping[str, float | None]]]]


@dataclass(frozen=True, slots=True)
class View:
    """What is seen at one moment: windows by size, and the services heard of lately."""

    now_s: float
    windows: Mapping[str, WindowRows]
    known_services: Collection[str] = ()


def changes(rules: Sequence[Rule], held: Mapping[Key, Held], view: View) -> Iterator[Change]:
    """Every change that this view makes; a rule whose window size is not in it is left alone."""
    watched: set[Key] = set()
    for rule in rules:
        rows = view.windows.get(rule.window_size)
        for service in _services(rule, held, rows, view):
            key = (rule.rule_name, service)
            watched.add(key)
            if rows is not None:
                change = _look(rule, service, held.get(key, NOTHING_HELD), rows, view.now_s)
                if change is not None:
                    yield change
    for key in held.keys() - watched:
        _, told = close(held[key].state, view.now_s, RULE_GONE)
        yield Change(key, None, held[key], INACTIVE, told, None)


def _services(
    rule: Rule, held: Mapping[Key, Held], rows: WindowRows | None, view: View
) -> set[str]:
    """The services to look at for a rule: with data, with a state, or with their absence to be told."""
    services = {service for name, service in held if name == rule.rule_name}
    if rows is not None:
        services |= rows.rows.keys()
    if rule.no_data_policy == "alert":
        services |= set(view.known_services)
    if rule.service == EVERY_SERVICE:
        return services
    always = {rule.service} if rule.no_data_policy == "alert" else set()
    return (services & {rule.service}) | always


def _look(rule: Rule, service: str, held: Held, rows: WindowRows, now_s: float) -> Change | None:
    seen = _observation(rule.metric_name, rows.rows.get(service, {}), rows.complete_start_s)
    after, told = step(rule, held.state, seen, now_s)
    if after == held.state and not told:
        return None
    reading = judge(rule, seen, is_open=held.state.is_open).reading
    value = None if reading is None else reading.value
    start_s = None if reading is None else reading.window_start_s
    return Change((rule.rule_name, service), rule, held, after, told, value, None, start_s)


def _observation(
    metric: str, rows: Mapping[int, tuple[int, Mapping[str, float | None]]], complete_start_s: int
) -> Observation:
    readings = {
        start: Reading(figures[metric], requests, start)
        for start, (requests, figures) in rows.items()
    }
    running = sorted((start for start in readings if start > complete_start_s), reverse=True)
    return Observation(tuple(readings[start] for start in running), readings.get(complete_start_s))
