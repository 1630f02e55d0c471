"""How services are doing: health, trend, the worst of them, and what they promised."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dashboard_api.schemas.base import Answer, Milliseconds, NextCursor, Percent
from dashboard_api.schemas.metrics import CoveredFrom, CoveredTo, Resolution

HealthStatus = Literal["healthy", "degraded", "unhealthy", "unknown"]
RatePercent = Annotated[
    float | None, Meta(description="Failed requests in percent of all; null without traffic.")
]


class ServiceHealth(Answer):
    """A service over the last five minutes and the running one; `unknown` without traffic."""

    service: str
    health_status: HealthStatus
    total_requests: int
    failed_requests: int
    error_rate: RatePercent
    latency_p50_ms: Milliseconds
    latency_p95_ms: Milliseconds
    latency_p99_ms: Milliseconds
    requests_per_second: float
    last_seen: Annotated[
        datetime | None, Meta(description="Start of its newest window within a day.")
    ]


class HealthStatusAnswer(Answer):
    """Every service seen within a day, the worst first; `status` is that of the worst with traffic."""

    status: HealthStatus
    services: list[ServiceHealth]
    count: int
    timestamp: datetime


class TrendRow(Answer, kw_only=True):
    """One hour of a service."""

    timestamp: Annotated[datetime, Meta(description="Start of the hour.")]
    service: str
    total_requests: int
    failed_requests: int
    error_rate: Percent
    latency_p50_ms: Milliseconds
    latency_p95_ms: Milliseconds
    latency_p99_ms: Milliseconds
    latency_mean_ms: Milliseconds
    requests_per_second: Annotated[float, Meta(description="Of the part of the hour that is over.")]


class TrendAnswer(Answer):
    """Services hour by hour, the running hour included; newest first, then by service."""

    days: int
    window: str
    trend: list[TrendRow]
    count: int
    next_cursor: NextCursor


class TopErrorService(Answer):
    """A service and how often it failed."""

    service: str
    total_requests: int
    failed_requests: int
    error_rate: Percent


class TopErrorServices(Answer):
    """Services with failures, the most failed requests first."""

    from_: CoveredFrom = msgspec.field(name="from")
    to: CoveredTo
    resolution: Resolution
    services: list[TopErrorService]
    count: int


class SlowService(Answer):
    """A service and its latencies, of merged histograms."""

    service: str
    total_requests: int
    latency_p50_ms: Milliseconds
    latency_p95_ms: Milliseconds
    latency_p99_ms: Milliseconds
    latency_max_ms: Milliseconds
    latency_mean_ms: Milliseconds


class SlowestServices(Answer):
    """Services whose events carry latencies, the slowest 99th percentile first."""

    from_: CoveredFrom = msgspec.field(name="from")
    to: CoveredTo
    resolution: Resolution
    services: list[SlowService]
    count: int


class HighRiskEvent(Answer):
    """A raw event whose risk is above the threshold."""

    timestamp: datetime
    service: str
    level: str
    risk_score: float
    latency_ms: Milliseconds
    user_id: str | None
    request_id: str | None
    trace_id: str | None
    source_ip: str | None
    geo_country: str | None
    user_subscription_tier: str | None
    message: str | None
    error_message: str | None


class HighRiskEvents(Answer):
    """Raw events, newest first."""

    from_: CoveredFrom = msgspec.field(name="from")
    to: CoveredTo
    threshold: float
    events: list[HighRiskEvent]
    count: int


class BurnRate(Answer):
    """How fast the error budget is used up over a long window: 1 uses up exactly all of it in the period.

    It burns when this and the rate over the short window are both at or above `threshold`.
    """

    window: str
    short_window: str
    burn_rate: Annotated[float | None, Meta(description="Null without traffic.")]
    short_burn_rate: Annotated[float | None, Meta(description="Null without traffic.")]
    threshold: float
    severity: Literal["page", "ticket"]
    burning: bool


class ServiceSla(Answer):
    """What a service promised and kept."""

    service: str
    total_requests: int
    failed_requests: int
    uptime_percent: Annotated[float | None, Meta(description="Null without traffic.")]
    budget_left: Annotated[
        float | None,
        Meta(
            description="Share of the error budget that is left: 1 all, 0 none, below that overdrawn."
        ),
    ]
    failed_requests_left: Annotated[
        int | None, Meta(description="How many more may fail; negative when overdrawn.")
    ]
    burn_rates: list[BurnRate]
    status: Annotated[
        Literal["ok", "ticket", "page", "unknown"],
        Meta(description="The most urgent of what burns; unknown without traffic in the period."),
    ]


class SlaAnswer(Answer):
    """Service levels over a period of days, by service."""

    days: int
    objective: Annotated[float, Meta(description="Percent of requests that must not fail.")]
    from_: CoveredFrom = msgspec.field(name="from")
    to: CoveredTo
    services: list[ServiceSla]
    count: int
