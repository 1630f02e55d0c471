"""What the dashboard page shows, one answer for each of its views."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from dashboard_api.schemas.alert_stats import ChannelFigures
from dashboard_api.schemas.alerts import AlertRow, Delivery, HistoryStep
from dashboard_api.schemas.base import Answer, NextCursor
from dashboard_api.schemas.dead_letters import DeadLetter
from dashboard_api.schemas.rules import RuleRow
from dashboard_api.schemas.services import HealthStatus, ServiceHealth
from dashboard_api.schemas.silences import SilenceRow
from dashboard_api.schemas.texts import MetricName, Operator, Severity


class Person(Answer):
    """Who asks."""

    name: str
    role: Literal["reader", "admin"]


class StatusCounts(Answer, kw_only=True):
    """How many services have each status."""

    healthy: int = 0
    degraded: int = 0
    unhealthy: int = 0
    unknown: int = 0


class OpenAlerts(Answer):
    """Alerts of one severity that fired and are not resolved; `since` is when the oldest of them did."""

    active: int
    acknowledged: int
    since: datetime | None


class Freshness(Answer):
    """How far behind the events the tables are."""

    data_age_seconds: Annotated[
        float | None,
        Meta(
            description="Age of the moment up to which everything is stored; null: nothing was ever consumed."
        ),
    ]
    lag: Annotated[int | None, Meta(description="Messages that wait; null: not known.")]


class Head(Answer):
    """What every view of the page shows on top; `timestamp` is when it was looked up."""

    timestamp: datetime
    you: Person
    status: HealthStatus
    services: StatusCounts
    alerts: dict[Severity, OpenAlerts]
    freshness: Freshness


class Trend(Answer):
    """The figure of a service that is nearest to its threshold, window by window; null: no traffic."""

    metric: Literal["error_rate", "latency_p99_ms"]
    threshold: Annotated[float, Meta(description="Above it a service is degraded.")]
    points: list[float | None]


class OverviewService(ServiceHealth, kw_only=True):
    """A service, its trend, and its open alerts."""

    trend: Trend
    alert_severity: Annotated[Severity | None, Meta(description="Of its worst open alert.")]
    alerts: int
    alerts_acknowledged: int


class Overview(Answer):
    """Every service seen within a day, the worst first."""

    head: Head
    services: list[OverviewService]
    trend_from: Annotated[datetime, Meta(description="Start of the first window of each trend.")]
    trend_step_seconds: int


class ChartPoints(Answer):
    """Points as in `/metrics/series`; `times` are the starts of the steps in epoch seconds."""

    step_seconds: int
    window: Annotated[str, Meta(description="Stored windows that the steps are made of.")]
    times: list[int]
    points: dict[str, list[float | int | None]]


class Threshold(Answer):
    """What a rule compares a metric with."""

    rule_name: str
    metric_name: MetricName
    operator: Operator
    threshold: float
    severity: Severity


class LetterOfService(Answer):
    """A dead letter that names the service, cut short."""

    id: int
    created_at: datetime
    reason: str
    detail: str | None
    status: str


class ShownAlert(AlertRow, kw_only=True):
    """An alert, how its rule compares (null: the rule is gone), and the last that each channel was told of it."""

    operator: Operator | None
    deliveries: list[Delivery]
    silenced_by: Annotated[int | None, Meta(description="Number of a silence in force.")]


class ServiceOverview(Answer, kw_only=True):
    """One service: null figures when it was not seen within a day."""

    head: Head
    name: str
    service: ServiceHealth | None
    chart: Annotated[ChartPoints | None, Meta(description="Null: not asked for.")]
    thresholds: Annotated[list[Threshold], Meta(description="Of enabled rules that watch it.")]
    alerts: Annotated[
        list[ShownAlert], Meta(description="Open ones, and episodes that touch the range.")
    ]
    dead_letters: Annotated[
        list[LetterOfService] | None, Meta(description="Null: only for role admin.")
    ]


class AlertsOverview(Answer):
    """Open alerts, the resolved ones of a day, silences that are not over, and the channels."""

    head: Head
    alerts: list[ShownAlert]
    resolved: list[ShownAlert]
    silences: list[SilenceRow]
    channels: list[ChannelFigures]


class AlertOverview(Answer):
    """One alert with all that was told of it, its rule (null: it is gone), and its history."""

    head: Head
    alert: ShownAlert
    rule: RuleRow | None
    history: list[HistoryStep]
    silences: list[SilenceRow]


class DeadLettersOverview(Answer):
    """A page of dead letters, newest first."""

    head: Head
    dead_letters: Annotated[list[DeadLetter] | None, Meta(description="Null: only for role admin.")]
    next_cursor: NextCursor


class PartitionFigures(Answer, kw_only=True):
    """A partition of the input topic; ages in seconds."""

    partition: int
    next_offset: int
    lag: int | None
    lag_age_seconds: float | None
    data_age_seconds: float | None
    events_stored: int
    events_dead_lettered: int
    events_lost: int


class StoredLatency(Answer):
    """How old the newest raw events were when they were stored, in seconds: of the last `events` of them."""

    events: int
    p50_seconds: float | None
    p95_seconds: float | None


class Evaluator(Answer):
    """Which process evaluates the rules; null: none does."""

    holder: str | None


class SystemOverview(Answer, kw_only=True):
    """The pipeline behind the figures."""

    head: Head
    topic: str
    partitions: list[PartitionFigures]
    stored_latency: StoredLatency
    dead_letters_pending: int
    outbox_backlog: int
    evaluator: Evaluator
    channels: list[ChannelFigures]
