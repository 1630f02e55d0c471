"""Alerts, as they are answered, and what people send about them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from dashboard_api.schemas.base import Answer, NextCursor
from dashboard_api.schemas.rules import RuleRow
from dashboard_api.schemas.texts import Channel, MetricName, Severity, WindowSize

Status = Annotated[
    str, Meta(extra_json_schema={"enum": ["pending", "active", "acknowledged", "resolved"]})
]


class AlertRow(Answer, kw_only=True):
    """One episode of an alert; `value` and the window it was seen in null: there were no data."""

    id: int
    rule_name: str
    service: str
    severity: Severity
    metric_name: MetricName
    window_size: WindowSize
    status: Status
    threshold: float
    value: float | None
    window_start: datetime | None
    fingerprint: str
    episode_id: str
    pending_since: datetime
    active_since: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None


class AlertPage(Answer):
    """The pending ones, then the others by when they fired; of both the newest first."""

    alerts: list[AlertRow]
    count: int
    status: str
    next_cursor: NextCursor


class Delivery(Answer, kw_only=True):
    """What a channel was told, or is to be told, or was kept from being told (`reason`)."""

    channel: Channel
    kind: str
    repetition: int
    status: str
    reason: str | None
    attempts: int
    next_try_at: datetime | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


class AlertDetails(AlertRow, kw_only=True):
    """One alert, what was told of it, and its rule; null: the rule is gone."""

    deliveries: list[Delivery]
    rule: RuleRow | None


class HistoryStep(Answer, kw_only=True):
    """One transition; `actor` null: the evaluator."""

    id: int
    alert_id: int
    episode_id: str
    sequence: int
    from_status: str
    to_status: Status
    at: datetime
    value: float | None
    window_start: datetime | None
    actor: str | None
    comment: str | None


class History(Answer):
    """Every transition of an alert, oldest first."""

    alert_id: int
    history: list[HistoryStep]
    count: int
