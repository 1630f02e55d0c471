"""From the figures of the last minutes to healthy, degraded, unhealthy or unknown. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from dashboard_api.schemas.services import HealthStatus

WORST_FIRST: tuple[HealthStatus, ...] = ("unhealthy", "degraded", "unknown", "healthy")


UNKNOWN: HealthStatus = "unknown"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Above which figure a service is degraded or unhealthy: percent and milliseconds."""

    health_unhealthy_error_rate: float = 20.0
    health_unhealthy_p99_ms: float = 1000.0
    health_degraded_error_rate: float = 5.0
    health_degraded_p99_ms: float = 500.0

    @classmethod
    def from_config(cls, values: Mapping[str, str]) -> tuple[Thresholds, list[str]]:
        """The thresholds that `system_config` sets, and the keys whose values cannot be used."""
        found: dict[str, float] = {}
        bad: list[str] = []
        for name in THRESHOLD_KEYS:
            if name in values:
                number = _number(values[name])
                if number is None:
                    bad.append(name)
                else:
                    found[name] = number
        return cls(**found), bad


THRESHOLD_KEYS = tuple(field.name for field in fields(Thresholds))


def status_of(error_rate: float | None, p99_ms: float | None, limits: Thresholds) -> HealthStatus:
    """The status for an error rate in percent (None: no traffic) and a p99 in ms (None: unknown)."""
    if error_rate is None:
        return "unknown"
    p99 = -math.inf if p99_ms is None else p99_ms
    if error_rate > limits.health_unhealthy_error_rate or p99 > limits.health_unhealthy_p99_ms:
        return "unhealthy"
    if error_rate > limits.health_degraded_error_rate or p99 > limits.health_degraded_p99_ms:
        return "degraded"
    return "healthy"


def overall(statuses: Iterable[HealthStatus]) -> HealthStatus:
    """The worst of the services with traffic; `unknown` when there is none.

    A silent service says nothing about the others: one that works once an hour is no alarm.
    """
    known = (status for status in statuses if status != "unknown")
    return min(known, key=WORST_FIRST.index, default=UNKNOWN)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
