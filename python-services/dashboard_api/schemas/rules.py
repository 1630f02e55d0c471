"""Alert rules, as they are sent and answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from dashboard_api.schemas.base import Answer
from dashboard_api.schemas.texts import (
    Channel,
    Comment,
    MetricName,
    Name,
    NoDataPolicy,
    Operator,
    Requests,
    Seconds,
    Severity,
    WindowSize,
)

Why = Annotated[Comment | None, Meta(description="Why, for the audit trail.")]


class RuleBody(Answer, kw_only=True):
    """A rule in place of the one of the path; what is left out is as by default."""

    rule_name: Annotated[Name | UnsetType, Meta(description="If given, that of the path.")] = UNSET
    description: str | None = None
    service: Annotated[Name, Meta(description="The service it watches; * is every service.")] = "*"
    metric_name: MetricName
    window_size: WindowSize = "1min"
    operator: Operator
    threshold: float
    resolve_threshold: Annotated[
        float | None, Meta(description="What it has to come back over; null: the threshold.")
    ] = None
    duration_seconds: Seconds = 60
    keep_firing_seconds: Seconds = 60
    min_requests: Requests = 1
    no_data_policy: NoDataPolicy = "resolve"
    severity: Severity
    notification_channels: list[Channel] = msgspec.field(default_factory=list)
    enabled: bool = True
    comment: Why = None


class NewRule(RuleBody, kw_only=True):
    """A rule to be made; what is left out is as by default."""

    rule_name: Name


class RulePatch(Answer, kw_only=True):
    """What is to be otherwise about a rule; what is left out stays."""

    rule_name: Annotated[Name | UnsetType, Meta(description="If given, that of the path.")] = UNSET
    description: str | UnsetType | None = UNSET
    service: Name | UnsetType = UNSET
    metric_name: MetricName | UnsetType = UNSET
    window_size: WindowSize | UnsetType = UNSET
    operator: Operator | UnsetType = UNSET
    threshold: float | UnsetType = UNSET
    resolve_threshold: float | UnsetType | None = UNSET
    duration_seconds: Seconds | UnsetType = UNSET
    keep_firing_seconds: Seconds | UnsetType = UNSET
    min_requests: Requests | UnsetType = UNSET
    no_data_policy: NoDataPolicy | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    notification_channels: list[Channel] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    comment: Why = None


class RuleRow(Answer, kw_only=True):
    """A rule."""

    id: int
    rule_name: str
    description: str | None
    service: str
    metric_name: MetricName
    window_size: WindowSize
    operator: Operator
    threshold: float
    resolve_threshold: float | None
    duration_seconds: int
    keep_firing_seconds: int
    min_requests: int
    no_data_policy: NoDataPolicy
    severity: Severity
    notification_channels: list[Channel]
    enabled: bool
    created_at: datetime
    updated_at: datetime


class RuleList(Answer):
    """Every rule, by name."""

    rules: list[RuleRow]
    count: int
