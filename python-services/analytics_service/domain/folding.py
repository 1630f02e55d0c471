"""Fold events into 1-minute cells: each event is touched once, here."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics_service.domain.aggregation import Cell
from analytics_service.domain.delta import Delta
from analytics_service.domain.event_columns import EventColumns
from analytics_service.domain.events import FAILED_LEVELS, Event
from analytics_service.domain.sketches import DistinctCounter, Histogram, bucket_numbers
from analytics_service.domain.windows import BASE_WINDOW

_CELL_US: Final = BASE_WINDOW.seconds * 1_000_000

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


def fold_events(events: Sequence[Event], high_risk_threshold: float) -> dict[Cell, Delta]:
    """The 1-minute cells of the events, in any order and of any number of batches."""
    return fold_columns(EventColumns.of(events), high_risk_threshold)


def fold_columns(events: EventColumns, high_risk_threshold: float) -> dict[Cell, Delta]:
    """The same of events in columns."""
    if len(events) == 0:
        return {}
    cells, groups = _group(events)
    count = len(cells)
    order = np.argsort(groups, kind="stable")
    totals = np.bincount(groups, minlength=count)
    bounds = np.concatenate(([0], np.cumsum(totals)))

    levels, names = _numbered(events.column("level"))
    failing = np.array([name in FAILED_LEVELS for name in names], dtype=np.bool_)
    failures = np.bincount(groups[failing[levels]], minlength=count)

    # NaN stands for None; no event carries a NaN.
    latencies = _numbers(events, "latency_ms")
    latency_counts, latency_sums = _count_and_sum(groups, latencies, count)

    risks = _numbers(events, "risk_score")
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
        _distinct(events.column("user_id"), groups, count),
        _distinct(events.column("source_ip"), groups, count),
        strict=True,
    )
    return {cell: Delta(*row) for cell, row in zip(cells, figures, strict=True)}


def _numbered(texts: Any) -> tuple[_Ints, list[str]]:
    """The different texts of a pyarrow string array without nulls, and for each element the place of its text."""
    encoded = texts.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _numbers(events: EventColumns, name: str) -> _Floats:
    """The field of each event, NaN where it is absent."""
    numbers: _Floats = events.column(name).to_numpy(zero_copy_only=False)
    return numbers


def _group(events: EventColumns) -> tuple[list[Cell], _Ints]:
    """The cells of the events, and for each event the index of its cell."""
    services, names = _numbered(events.column("service"))
    minutes = events.times_us // _CELL_US
    first = int(minutes.min())
    span = int(minutes.max()) - first + 1
    keys, groups = np.unique(services * span + (minutes - first), return_inverse=True)
    cells = [
        (names[key // span], (first + key % span) * BASE_WINDOW.seconds) for key in keys.tolist()
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


def _histograms(groups: _Ints, latencies: _Floats, count: int) -> list[Histogram]:
    """Per group, the latency histogram."""
    there = ~np.isnan(latencies)
    if not there.any():
        return [Histogram() for _ in range(count)]
    buckets = bucket_numbers(latencies[there])
    lowest = int(buckets.min())
    span = int(buckets.max()) - lowest + 1
    keys, counts = np.unique(groups[there] * span + (buckets - lowest), return_counts=True)
    numbers, amounts = _array(keys % span + lowest), _array(counts)
    bounds = np.searchsorted(keys, np.arange(count + 1) * span).tolist()
    return [Histogram(numbers[i:j], amounts[i:j]) for i, j in pairwise(bounds)]


def _array(values: _Ints) -> array[int]:
    return array("q", values.astype(np.int64, copy=False).tobytes())


def _distinct(texts: Any, groups: _Ints, count: int) -> list[DistinctCounter]:
    """Per group, the counter of its texts that are there."""
    if texts.null_count == len(texts):
        return [DistinctCounter() for _ in range(count)]
    there = ~texts.is_null().to_numpy(zero_copy_only=False)
    encoded = texts.drop_null().dictionary_encode()
    span = len(encoded.dictionary)
    keys = np.unique(groups[there] * span + encoded.indices.to_numpy())
    found = encoded.dictionary.take(keys % span).to_pylist()
    bounds = np.searchsorted(keys, np.arange(count + 1) * span).tolist()
    return [DistinctCounter(found[i:j]) for i, j in pairwise(bounds)]
