"""Rows of windows as COPY text, a column at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from analytics_service.adapters.timescale.copy_columns import (
    array_fields,
    bytes_fields,
    fields,
    lines,
)
from analytics_service.domain.delta import Delta
from analytics_service.domain.figures import Floats, Histograms, Ints, figure_columns
from analytics_service.domain.sketches import DistinctCounter

STATE_COLUMNS = (
    "total_requests", "successful_requests", "failed_requests", "error_rate", "latency_min_ms", "latency_p50_ms",
    "latency_p95_ms", "latency_p99_ms", "latency_max_ms", "latency_mean_ms", "unique_users", "unique_ips",
    "avg_risk_score", "high_risk_count", "latency_count", "latency_sum_ms", "latency_buckets",
    "latency_bucket_counts", "risk_count", "risk_sum", "users_sketch", "users_recent", "ips_sketch", "ips_recent",
)  # fmt: skip


def window_lines(
    keys: Sequence[Any], deltas: Sequence[Delta], over_own_rows: Sequence[bool]
) -> memoryview:
    """COPY lines in UTF-8 that begin with the columns of fields in ``keys`` and end with STATE_COLUMNS.

    ``over_own_rows``: whether each of ``deltas`` is to be written over the row that it was read from (`Delta.from_row`)
    or written to last. Such a row keeps a sketch for which there is none here, but one beside it of what it lacks.
    """
    histograms = Histograms(deltas)
    figures = figure_columns(deltas, histograms)
    columns = _numbers(figures)
    columns["latency_buckets"] = array_fields(histograms.bounds, histograms.numbers)
    columns["latency_bucket_counts"] = array_fields(histograms.bounds, histograms.counts)
    for name, counters in (
        ("users", [delta.users for delta in deltas]),
        ("ips", [delta.ips for delta in deltas]),
    ):
        whole, recent = _sketches(counters, over_own_rows)
        columns[f"{name}_sketch"], columns[f"{name}_recent"] = (
            bytes_fields(whole),
            bytes_fields(recent),
        )
    return lines([*keys, *(columns[name] for name in STATE_COLUMNS)])


def _numbers(figures: Mapping[str, Ints | Floats]) -> dict[str, Any]:
    """The fields of columns of the same length; what is NaN is NULL."""
    columns: dict[str, Any] = {}
    for kind in (np.int64, np.float64):
        # All of a kind at once: of a few rows the calls cost more than the numbers.
        names = [name for name, values in figures.items() if values.dtype == kind]
        together = fields(
            pa.array(np.concatenate([figures[name] for name in names]), from_pandas=True)
        )
        length = len(together) // len(names)
        columns |= {name: together.slice(at * length, length) for at, name in enumerate(names)}
    return columns


def _sketches(
    counters: Sequence[DistinctCounter], over_own_rows: Sequence[bool]
) -> tuple[Sequence[bytes | None], Sequence[bytes | None]]:
    """Of each counter what is written as the row's sketch, and beside it."""
    written = [
        counter.to_write() if over_own else (counter.serialize(), None)
        for counter, over_own in zip(counters, over_own_rows, strict=True)
    ]
    whole, recent = zip(*written, strict=True)
    return whole, recent
