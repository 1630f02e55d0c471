"""Rows of windows, merged rows, and series."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from dashboard_api.schemas.base import Answer, Milliseconds, NextCursor, Percent

CoveredFrom = Annotated[datetime, Meta(description="Start of what is covered, inclusive.")]
CoveredTo = Annotated[datetime, Meta(description="End of what is covered, exclusive.")]
Resolution = Annotated[
    str | None, Meta(description="Finest windows that it was made of; null when nothing is kept.")
]


class SummaryRow(Answer, kw_only=True):
    """The figures of a service over a range; percentiles and uniques are of merged sketches."""

    service: str
    total_requests: int
    successful_requests: int
    failed_requests: Annotated[int, Meta(description="Events of level error or critical.")]
    error_rate: Percent
    latency_min_ms: Milliseconds
    latency_p50_ms: Milliseconds
    latency_p95_ms: Milliseconds
    latency_p99_ms: Milliseconds
    latency_max_ms: Milliseconds
    latency_mean_ms: Milliseconds
    unique_users: int
    unique_ips: int
    avg_risk_score: Annotated[float | None, Meta(description="0 to 1; null where none is known.")]
    high_risk_count: int
    aggregated_at: Annotated[datetime | None, Meta(description="When it was last written.")]


class WindowRow(SummaryRow, kw_only=True):
    """One stored window of a service."""

    timestamp: Annotated[datetime, Meta(description="Start of the window, inclusive.")]


class MetricsPage(Answer):
    """Windows, newest first, then by service."""

    window: str
    metrics: list[WindowRow]
    count: int
    next_cursor: NextCursor


class Summary(Answer):
    """One merged row for each service with traffic, by service."""

    from_: CoveredFrom = msgspec.field(name="from")
    to: CoveredTo
    resolution: Resolution
    metrics: list[SummaryRow]
    count: int


class Series(Answer):
    """The points of one service: for each metric as many as there are `timestamps`; null in gaps."""

    service: str
    points: dict[str, list[float | int | None]]


class SeriesAnswer(Answer):
    """Series for charts: `timestamps` are the starts of the steps, without a gap."""

    from_: CoveredFrom = msgspec.field(name="from")
    to: CoveredTo
    step: Annotated[str, Meta(description="Length of a step, as `step` takes it.")]
    step_seconds: int
    window: Annotated[str | None, Meta(description="Stored windows that the steps are made of.")]
    metrics: list[str]
    timestamps: list[datetime]
    series: list[Series]
    count: int
