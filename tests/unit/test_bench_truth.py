"""The bench's brute-force windows and how it tells a wrong table from a right one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.events import LEVELS, SERVICES, Columns
from bench.truth import Figures, brute_force, differences, nearest_rank

NAN = float("nan")
NOON = 1_700_000_400 // 3600 * 3600  # a full hour, epoch seconds


def columns(*events: tuple[int, int, str, float, float, int, int]) -> Columns:
    """Events as (seconds after NOON, service, level, latency, risk, user, address)."""
    seconds, service, level, latency, risk, user, address = zip(*events, strict=True)
    return Columns(
        np.array([(NOON + s) * 1_000_000 for s in seconds]),
        np.array(service),
        np.array([LEVELS.index(name) for name in level]),
        np.array(latency),
        np.array(risk),
        np.array(user),
        np.array(address),
    )


EVENTS = columns(
    (0, 0, "info", 10.0, 0.1, 1, 1),  # first microsecond of the first minute
    (70, 0, "error", 30.0, 0.9, 2, 1),  # second minute
    (59, 0, "critical", 20.0, 0.8, 1, 2),  # first minute again, out of order
    (59, 1, "warning", NAN, 0.2, -1, 3),  # another service; no latency, no user
)


def test_windows_are_counted_by_service_and_start() -> None:
    found = brute_force(EVENTS, 60)
    assert found == {
        (SERVICES[0], NOON): Figures(2, 1, 0, 10.0, 20.0, 15.0, (10.0, 20.0, 20.0), 1, 2),
        (SERVICES[0], NOON + 60): Figures(1, 1, 1, 30.0, 30.0, 30.0, (30.0, 30.0, 30.0), 1, 1),
        (SERVICES[1], NOON): Figures(1, 0, 0, None, None, None, (None, None, None), 0, 1),
    }


def test_a_longer_window_holds_all_of_them() -> None:
    found = brute_force(EVENTS, 3600)
    assert found[SERVICES[0], NOON] == Figures(3, 2, 1, 10.0, 30.0, 20.0, (20.0, 30.0, 30.0), 2, 2)


@pytest.mark.parametrize(
    ("percent", "value"),
    [(50, 2.0), (75, 3.0), (76, 4.0), (99, 4.0), (100, 4.0), (1, 1.0)],
)
def test_nearest_rank_is_the_smallest_with_enough_at_or_below_it(
    percent: int, value: float
) -> None:
    assert nearest_rank(np.array([1.0, 2.0, 3.0, 4.0]), percent) == value


RIGHT = Figures(1000, 10, 5, 1.0, 900.0, 100.0, (50.0, 400.0, 800.0), 150, 900)
KEY = ("checkout-api", NOON)


@pytest.mark.parametrize(
    "change",
    [
        {"percentiles": (50.49, 396.1, 807.9)},  # within 1 %
        {"addresses": 960},  # an estimate, within 8 %
        {"latency_mean": 100.00000005},  # a sum in another order
    ],
)
def test_what_the_contract_allows_is_no_difference(change: dict[str, Any]) -> None:
    assert differences({KEY: RIGHT}, {KEY: replace(RIGHT, **change)}) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"total": 1001}, "total"),
        ({"failed": 9}, "failed"),
        ({"high_risk": 6}, "high_risk"),
        ({"latency_min": 1.0000001}, "latency_min"),
        ({"latency_max": None}, "latency_max"),
        ({"latency_mean": 100.001}, "latency_mean"),
        ({"percentiles": (50.0, 405.0, 800.0)}, "p95"),
        ({"percentiles": (None, 400.0, 800.0)}, "p50"),
        ({"users": 151}, "users"),  # exact while there are few
        ({"addresses": 980}, "addresses"),
    ],
)
def test_each_wrong_figure_is_named(change: dict[str, Any], named: str) -> None:
    problems = differences({KEY: RIGHT}, {KEY: replace(RIGHT, **change)})
    assert len(problems) == 1
    assert named in problems[0]


def test_rows_that_are_missing_or_too_many_are_named() -> None:
    other = ("checkout-worker", NOON)
    assert differences({KEY: RIGHT}, {other: RIGHT}) == [
        f"{KEY}: no row",
        f"{other}: a row too many",
    ]
