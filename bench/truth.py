"""The windows by brute force, from what was written into the events, and how stored rows differ from them.

Nothing of the product is used: every window is computed on its own from the events that fall into it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.events import LEVELS, Columns, Floats, Ints, service_name

WINDOWS: Final = {"1min": 60, "5min": 300, "1hour": 3600}
FAILED: Final = [LEVELS.index("error"), LEVELS.index("critical")]
HIGH_RISK: Final = 0.8
PERCENTILES: Final = (50, 95, 99)
PERCENTILE_TOLERANCE: Final = 0.01
SUM_TOLERANCE: Final = 1e-9
UNIQUES_EXACT_UP_TO: Final = 200
UNIQUES_TOLERANCE: Final = (
    0.08  # five standard errors of the sketch: hundreds of windows are looked at
)

Key = tuple[str, int]
"""Service and window start in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one window; latencies in ms, None where no event carries one."""

    total: int
    failed: int
    high_risk: int
    latency_min: float | None
    latency_max: float | None
    latency_mean: float | None
    percentiles: tuple[float | None, ...]
    users: int
    addresses: int


def brute_force(events: Columns, seconds: int) -> dict[Key, Figures]:
    """Every window of `seconds` with its figures."""
    return {key: figures_of(events, places) for key, places in places_of(events, seconds).items()}


def places_of(events: Columns, seconds: int) -> dict[Key, Ints]:
    """Which events fall into each window of `seconds`."""
    starts = events.timestamp_us // (seconds * 1_000_000) * seconds
    order = np.lexsort((starts, events.service))
    services, starts = events.service[order], starts[order]
    changes = np.flatnonzero((np.diff(services) != 0) | (np.diff(starts) != 0)) + 1
    return {
        (service_name(int(events.service[group[0]])), int(start)): group
        for group, start in zip(
            np.split(order, changes), starts[np.concatenate(([0], changes))], strict=True
        )
    }


def figures_of(events: Columns, places: Ints) -> Figures:
    """The figures of the events at the given places."""
    latencies = np.sort(events.latency_ms[places])
    latencies = latencies[~np.isnan(latencies)]
    there = len(latencies) > 0
    users = events.user[places]
    return Figures(
        total=len(places),
        failed=int(np.isin(events.level[places], FAILED).sum()),
        high_risk=int((events.risk[places] > HIGH_RISK).sum()),
        latency_min=float(latencies[0]) if there else None,
        latency_max=float(latencies[-1]) if there else None,
        latency_mean=math.fsum(latencies.tolist()) / len(latencies) if there else None,
        percentiles=tuple(nearest_rank(latencies, p) if there else None for p in PERCENTILES),
        users=len(np.unique(users[users >= 0])),
        addresses=len(np.unique(events.address[places])),
    )


def nearest_rank(ordered: Floats, percent: int) -> float:
    """The ceil(percent/100 * n)-th smallest of values in ascending order; at least the first."""
    rank = max(1, -(-percent * len(ordered) // 100))
    return float(ordered[rank - 1])


def differences(expected: Mapping[Key, Figures], found: Mapping[Key, Figures]) -> list[str]:
    """In words, every way in which the rows found are not as expected; empty when all is right."""
    problems = [f"{key}: no row" for key in sorted(expected.keys() - found.keys())]
    problems += [f"{key}: a row too many" for key in sorted(found.keys() - expected.keys())]
    for key in sorted(expected.keys() & found.keys()):
        problems += [f"{key}: {text}" for text in _differing(expected[key], found[key])]
    return problems


def _differing(expected: Figures, found: Figures) -> list[str]:
    problems = [
        f"{name} is {getattr(found, name)}, not {getattr(expected, name)}"
        for name in ("total", "failed", "high_risk", "latency_min", "latency_max")
        if getattr(found, name) != getattr(expected, name)
    ]
    near: list[tuple[str, float | None, float | None, float]] = [
        ("latency_mean", expected.latency_mean, found.latency_mean, SUM_TOLERANCE)
    ]
    for percent, one, other in zip(
        PERCENTILES, expected.percentiles, found.percentiles, strict=True
    ):
        near.append((f"p{percent}", one, other, PERCENTILE_TOLERANCE))
    for name in ("users", "addresses"):
        exact = getattr(expected, name)
        tolerance = 0.0 if exact <= UNIQUES_EXACT_UP_TO else UNIQUES_TOLERANCE
        near.append((name, exact, getattr(found, name), tolerance))
    problems += [
        f"{name} is {found_value}, not {value} within {tolerance:g}"
        for name, value, found_value, tolerance in near
        if not _close(value, found_value, tolerance)
    ]
    return problems


def _close(expected: float | None, found: float | None, tolerance: float) -> bool:
    if expected is None or found is None:
        return expected is found
    return math.isclose(expected, found, rel_tol=0, abs_tol=tolerance * abs(expected) + 1e-12)
