"""Error budgets and how fast they burn. Pure.

Source of the rules: Google, The Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dashboard_api.schemas.services import BurnRate, ServiceSla

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Burning fast over a long and, so that it stops soon after the trouble does, a short window."""

    window: str
    short_window: str
    threshold: float
    severity: Literal["page", "ticket"]


BURN_RULES = (
    BurnRule("1h", "5m", 14.4, "page"),
    BurnRule("6h", "30m", 6.0, "page"),
    BurnRule("3d", "6h", 1.0, "ticket"),
)
WINDOWS_S = {
    "5m": 5 * _MINUTE_S, "30m": 30 * _MINUTE_S, "1h": _HOUR_S, "6h": 6 * _HOUR_S, "3d": 3 * _DAY_S,
}  # fmt: skip
"""Seconds of each window that the rules name."""

# A budget of 0.1 % is not exactly representable: what is 0.3 requests too little is no request.
_ROUNDING = 1e-6


def service_level(
    service: str,
    objective: float,
    period: tuple[int, int],
    windows: Mapping[str, tuple[int, int]],
) -> ServiceSla:
    """What a service kept of its promise. Counts are (total, failed); a window without traffic is missing.

    `objective` is the percentage, above 0 and below 100, of requests that must not fail.
    """
    allowed_share = 1 - objective / 100
    total, failed = period
    allowed = allowed_share * total
    rates = [_burn_rate(rule, windows, allowed_share) for rule in BURN_RULES]
    return ServiceSla(
        service=service,
        total_requests=total,
        failed_requests=failed,
        uptime_percent=100 * (total - failed) / total if total else None,
        budget_left=1 - failed / allowed if total else None,
        failed_requests_left=math.floor(allowed - failed + _ROUNDING) if total else None,
        burn_rates=rates,
        status=_status(rates) if total else "unknown",
    )


def _burn_rate(
    rule: BurnRule, windows: Mapping[str, tuple[int, int]], allowed_share: float
) -> BurnRate:
    rate, short_rate = (
        _rate(windows.get(name), allowed_share) for name in (rule.window, rule.short_window)
    )
    burning = (
        rate is not None
        and short_rate is not None
        and min(rate, short_rate) >= rule.threshold - _ROUNDING
    )
    return BurnRate(
        rule.window, rule.short_window, rate, short_rate, rule.threshold, rule.severity, burning
    )


def _rate(counts: tuple[int, int] | None, allowed_share: float) -> float | None:
    if counts is None or not counts[0]:
        return None
    return counts[1] / counts[0] / allowed_share


def _status(rates: list[BurnRate]) -> Literal["ok", "ticket", "page"]:
    burning = {rate.severity for rate in rates if rate.burning}
    return "page" if "page" in burning else "ticket" if "ticket" in burning else "ok"
