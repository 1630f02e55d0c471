"""What services do all day in the bench of the API: some kinds of service, two different days of each.

Rates, latencies and failures differ by kind and follow the time of day; latencies are log-normal with a heavy tail;
few users make most of the requests, so that a minute knows some dozens of them and a day many thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.windows import DAY, WINDOWS, Window
from bench.events import MESSAGES

Row = dict[str, Any]
"""Columns of a metrics row by their names, as `Delta.to_state` gives them."""
DAYS: Final = 2
"""How many different days each kind of service has; a service takes turns in them."""
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
COUNTRIES: Final = ("DE", "FR", "GB", "IN", "JP", "US")
TIERS: Final = ("free", "pro", "enterprise")
HIGH_RISK: Final = 0.8
_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600
_LAST_FLUSHES: Final = 10
"""How many flushes a window's last events come with, of so many microseconds each."""
_FLUSH_US: Final = 600_000
_SEED: Final = 20_260_131


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of service: `rate` events a minute on average, `share` of all services."""

    name: str
    share: float
    rate: float
    median_ms: float
    failing: float
    users: int


KINDS: Final = (
    Kind("batch", 0.40, 60.0, 180.0, 0.004, 4_000),
    Kind("store", 0.35, 200.0, 25.0, 0.010, 15_000),
    Kind("api", 0.20, 500.0, 60.0, 0.020, 30_000),
    Kind("gateway", 0.05, 1_000.0, 90.0, 0.035, 60_000),
)
MEAN_RATE: Final = sum(kind.share * kind.rate for kind in KINDS)
"""Events a minute of a service, over all kinds."""


def kind_of(number: int) -> int:
    """The kind (an index into KINDS) of a service, by its number: every twentieth is of the last kind."""
    place = (number % 20 + 0.5) / 20
    for index, kind in enumerate(KINDS):
        place -= kind.share
        if place < 0:
            return index
    return len(KINDS) - 1


def rows_of(archetype: int) -> Iterator[tuple[Window, dict[int, Row]]]:
    """The windows of a day of an archetype (kind x DAYS + day), and the day itself, by their starts since midnight.

    The minutes are folded from events as a worker does it, everything longer is a merge of them. What the last part of
    a window has added to a large sketch lies beside it, as workers leave it; days are written whole.
    """
    kind, day = divmod(archetype, DAYS)
    dice = np.random.default_rng((_SEED, archetype))
    early: dict[Cell, Delta] = {}
    late: dict[Cell, list[Delta]] = {}
    for start_s in range(0, _DAY_S, _HOUR_S):
        events = events_between("", KINDS[kind], day, start_s, start_s + _HOUR_S, dice)
        early |= fold_events([event for event in events if _flush_of(event) < 0], HIGH_RISK)
        for flush in range(_LAST_FLUSHES):
            part = [event for event in events if _flush_of(event) == flush]
            for cell, delta in fold_events(part, HIGH_RISK).items():
                late.setdefault(cell, []).append(delta)
    minutes = {
        cell: _merged([early.get(cell, Delta()), *late.get(cell, ())])
        for cell in sorted(early | late)
    }
    for window in WINDOWS:
        ends = {cell for cell in minutes if (cell[1] + 60) % window.seconds == 0}
        first = {c: early.get(c, Delta()) if c in ends else minutes[c] for c in minutes}
        last = {window.start_of(cell[1]): late[cell] for cell in ends if cell in late}
        yield (
            window,
            {
                start: _row(delta, last.get(start, ()))
                for (_, start), delta in roll_up(first, window).items()
            },
        )
    yield DAY, {cell[1]: delta.to_state() for cell, delta in roll_up(minutes, DAY).items()}


def _flush_of(event: Event) -> int:
    """Of the last flushes of its minute the one that it comes with, from 0; below 0: with an earlier one."""
    left_us = 60_000_000 - event.timestamp_us % 60_000_000
    return _LAST_FLUSHES - 1 - left_us // _FLUSH_US


def _merged(parts: Iterable[Delta]) -> Delta:
    whole = Delta()
    for part in parts:
        whole.merge_from(part)
    return whole


def _row(first: Delta, flushes: Iterable[Delta]) -> Row:
    """The row that says `first`, and is then written again with what each flush adds."""
    delta = first.copy()
    row = delta.to_state()
    kept = {name: row[name] for name in ("users_sketch", "ips_sketch")}
    for flush in flushes:
        delta.was_written()
        delta.merge_from(flush)
        row = delta.to_state()
        for name, counter in (("users", delta.users), ("ips", delta.ips)):
            whole, row[f"{name}_recent"] = counter.to_write()
            kept[f"{name}_sketch"] = whole or kept[f"{name}_sketch"]
    return row | kept


def events_between(
    service: str, kind: Kind, day: int, start_s: int, end_s: int, dice: np.random.Generator
) -> list[Event]:
    """Events of [start_s, end_s), in epoch seconds, in the order of their times."""
    length_s = end_s - start_s
    expected = kind.rate * length_s / 60 * _rhythm((start_s + length_s / 2) % _DAY_S)
    count = int(dice.poisson(expected))
    slow = 1.0 + 1.5 * (day == 1 and (start_s // _HOUR_S) % 24 in (9, 10))
    times = np.sort(dice.random(count)) * length_s * 1e6 + start_s * 1_000_000
    latencies = np.round(
        kind.median_ms
        * slow
        * np.exp(0.55 * dice.standard_normal(count))
        * np.where(dice.random(count) < 0.01, dice.pareto(1.8, count) + 4, 1.0),
        3,
    )
    failing = min(kind.failing * slow, 0.5)
    levels = dice.choice(
        5, count, p=(0.12, 0.80 - failing, 0.08, 0.8 * failing, 0.2 * failing)
    ).tolist()
    # Users come back: the few first ones again and again.
    users = (kind.users * dice.random(count) ** 6).astype(np.int64).tolist()
    risks = np.round(dice.beta(1.3, 9.0, count), 4).tolist()
    extras = dice.random(count).tolist()
    rows = zip(times.tolist(), latencies.tolist(), levels, users, risks, extras, strict=True)
    return [
        Event(
            int(time),
            service,
            LEVELS[level],
            latency if extra < 0.97 else None,
            min(risk + 0.5, 1.0) if extra < 0.002 else risk if extra < 0.6 else None,
            f"user-{user}" if extra < 0.9 else None,
            f"req-{int(extra * 1e9):09x}",
            f"{int(extra * 1e15):016x}",
            None,
            MESSAGES[user % len(MESSAGES)],
            "upstream timed out" if level > 2 else None,
            f"10.{user * 7 // 65536 % 256}.{user * 7 // 256 % 256}.{user * 7 % 256}",
            COUNTRIES[user % len(COUNTRIES)],
            TIERS[user % len(TIERS)],
        )
        for time, latency, level, user, risk, extra in rows
    ]


def _rhythm(second_of_day: float) -> float:
    """How busy it is, 1 on average: least at night."""
    return 1.0 + 0.6 * float(np.sin(2 * np.pi * (second_of_day / _DAY_S - 0.3)))
