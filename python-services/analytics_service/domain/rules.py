"""Alert rules: what people write, and whether a value violates one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["info", "warning", "critical"]
NoDataPolicy = Literal["resolve", "keep", "alert"]

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
NO_DATA_POLICIES: Final[tuple[NoDataPolicy, ...]] = ("resolve", "keep", "alert")
CHANNELS: Final = ("slack", "email", "pagerduty")
EVERY_SERVICE: Final = "*"
METRICS: Final = (
    "total_requests", "successful_requests", "failed_requests", "error_rate", "latency_min_ms", "latency_p50_ms",
    "latency_p95_ms", "latency_p99_ms", "latency_max_ms", "latency_mean_ms", "latency_count", "latency_sum_ms",
    "unique_users", "unique_ips", "avg_risk_score", "high_risk_count", "risk_count", "risk_sum",
)  # fmt: skip
"""The numeric columns of the metrics tables, as the table of rules allows them."""
OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
}
# A running window's count or sum only grows: that it is small says nothing until the window is complete.
GROWING_METRICS: Final = frozenset(
    {
        "total_requests", "successful_requests", "failed_requests", "latency_count", "unique_users", "unique_ips",
        "high_risk_count", "risk_count", "latency_sum_ms", "risk_sum",
    }
)  # fmt: skip
_NEEDS_COMPLETE: Final = frozenset({"<", "<=", "=="})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:  # pylint: disable=too-many-instance-attributes  # the columns of the table
    """A row of analytics_alert_rules; times in seconds."""

    rule_name: str
    metric_name: str
    operator: str
    threshold: float
    severity: Severity
    service: str = EVERY_SERVICE
    window_size: str = "1min"
    resolve_threshold: float | None = None
    duration_seconds: int = 60
    keep_firing_seconds: int = 60
    min_requests: int = 1
    no_data_policy: NoDataPolicy = "resolve"
    notification_channels: tuple[str, ...] = ()
    enabled: bool = True
    description: str | None = None

    def watches(self, service: str) -> bool:
        """Whether the rule is about this service."""
        return self.service in (EVERY_SERVICE, service)

    @property
    def resolve_threshold_problem(self) -> str | None:
        """What is wrong with the resolve threshold beside the threshold; None: nothing.

        On the wrong side of it a value may violate the rule and resolve its alert, again and again.
        """
        if self.resolve_threshold is None or self.resolve_threshold == self.threshold:
            return None
        if self.operator == "==":
            return "must be the threshold, or left out, where the operator is =="
        above = self.operator in (">", ">=")
        if above == (self.resolve_threshold < self.threshold):
            return None
        side = "above" if above else "below"
        return f"must not lie {side} the threshold where the operator is {self.operator}"

    @property
    def only_complete(self) -> bool:
        """Whether a running window says nothing: a count or sum that is still low."""
        return self.metric_name in GROWING_METRICS and self.operator in _NEEDS_COMPLETE

    def is_violated_by(self, value: float, *, is_open: bool) -> bool:
        """Whether `value` violates the rule; once an alert is open, the resolve threshold decides."""
        limit = self.threshold
        if is_open and self.resolve_threshold is not None:
            limit = self.resolve_threshold
        return OPERATORS[self.operator](value, limit)
