"""From events to the sums of windows: fold events into 1-minute cells, roll cells up to windows.

Each event is touched once, here; every larger window is a merge of cells.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics_service.domain.delta import Delta
from analytics_service.domain.events import FAILED_LEVELS, Event
from analytics_service.domain.sketches import DistinctCounter, bucket_numbers
from analytics_service.domain.windows import BASE_WINDOW, Window

__all__ = ["Cell", "Delta", "fold_events", "roll_up"]

Cell = tuple[str, int]
"""Service and window start in epoch seconds, UTC."""

_CELL_US: Final = BASE_WINDOW.seconds * 1_000_000

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


def fold_events(events: Sequence[Event], high_risk_threshold: float) -> dict[Cell, Delta]:
    """The 1-minute cells of the events, in any order and of any number of batches."""
    if not events:
        return {}
    cells, groups = _group(events)
    count = len(cells)
    order = np.argsort(groups, kind="stable")
    totals = np.bincount(groups, minlength=count)
    bounds = np.concatenate(([0], np.cumsum(totals)))

    levels = [event.level for event in events]
    failed = np.fromiter(map(FAILED_LEVELS.__contains__, levels), np.bool_, len(levels))
    failures = np.bincount(groups[failed], minlength=count)

    # NaN stands for None; no event carries a NaN.
    latencies = np.array([event.latency_ms for event in events], dtype=np.float64)
    latency_counts, latency_sums = _count_and_sum(groups, latencies, count)

    risks = np.array([event.risk_score for event in events], dtype=np.float64)
    risk_counts, risk_sums = _count_and_sum(groups, risks, count)
    high_risks = np.bincount(groups[risks > high_risk_threshold], minlength=count)

    figures = zip(
        totals.tolist(),
        failures.tolist(),
        latency_counts.tolist(),
        latency_sums.tolist(),
        _or_none(np.fmin.reduceat(latencies[order], bounds[:-1])),
        _or_none(np.fmax.reduceat(latencies[order], bounds[:-1])),
        _histograms(groups, latencies, count),
        risk_counts.tolist(),
        risk_sums.tolist(),
        high_risks.tolist(),
        _distinct([event.user_id for event in events], order, bounds),
        _distinct([event.source_ip for event in events], order, bounds),
        strict=True,
    )
    return {cell: Delta(*row) for cell, row in zip(cells, figures, strict=True)}


def roll_up(cells: Mapping[Cell, Delta], window: Window) -> dict[Cell, Delta]:
    """The windows that the cells (of a window that divides ``window``) add up to.

    Never changes the cells. A window with one contributing cell gets *that very delta*: to merge
    something into a result, merge into a copy.
    """
    result: dict[Cell, Delta] = {}
    own: set[Cell] = set()
    for (service, start), delta in cells.items():
        cell = (service, window.start_of(start))
        present = result.get(cell)
        if present is None:
            result[cell] = delta
            continue
        if cell not in own:
            result[cell] = present = present.copy()
            own.add(cell)
        present.merge_from(delta)
    return result


def _group(events: Sequence[Event]) -> tuple[list[Cell], _Ints]:
    """The cells of the events, and for each event the index of its cell."""
    names = [event.service for event in events]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    services = np.fromiter(map(numbers.__getitem__, names), np.int64, len(names))
    minutes = np.array([event.timestamp_us for event in events], dtype=np.int64) // _CELL_US
    first = int(minutes.min())
    span = int(minutes.max()) - first + 1
    keys, groups = np.unique(services * span + (minutes - first), return_inverse=True)
    by_number = list(numbers)
    cells = [
        (by_number[key // span], (first + key % span) * BASE_WINDOW.seconds)
        for key in keys.tolist()
    ]
    return cells, groups


def _count_and_sum(groups: _Ints, values: _Floats, count: int) -> tuple[_Ints, _Floats]:
    """Per group, how many values are there (not NaN), and their sum, at most the largest float."""
    there = ~np.isnan(values)
    present = groups[there]
    sums = np.bincount(present, weights=values[there], minlength=count)
    return np.bincount(present, minlength=count), np.minimum(sums, sys.float_info.max)


def _or_none(values: _Floats) -> list[float | None]:
    missing = np.isnan(values).tolist()
    return [None if gone else value for value, gone in zip(values.tolist(), missing, strict=True)]


def _histograms(groups: _Ints, latencies: _Floats, count: int) -> list[dict[int, int]]:
    """Per group, the latency histogram."""
    there = ~np.isnan(latencies)
    if not there.any():
        return [{} for _ in range(count)]
    buckets = bucket_numbers(latencies[there])
    lowest = int(buckets.min())
    span = int(buckets.max()) - lowest + 1
    keys, counts = np.unique(groups[there] * span + (buckets - lowest), return_counts=True)
    numbers = (keys % span + lowest).tolist()
    amounts = counts.tolist()
    bounds = np.searchsorted(keys, np.arange(count + 1) * span).tolist()
    return [dict(zip(numbers[i:j], amounts[i:j], strict=True)) for i, j in pairwise(bounds)]


def _distinct(texts: list[str | None], order: _Ints, bounds: _Ints) -> list[DistinctCounter]:
    """Per group, the counter of its texts that are there."""
    if texts.count(None) == len(texts):
        return [DistinctCounter() for _ in range(len(bounds) - 1)]
    ordered = np.array(texts, dtype=object)[order].tolist()
    counters = []
    for i, j in pairwise(bounds.tolist()):
        distinct = set(ordered[i:j])
        distinct.discard(None)
        counters.append(DistinctCounter(distinct))
    return counters
