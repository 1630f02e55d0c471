"""The sentences of a message, the same for every channel and before any is escaped. Pure.

The first line is read at night on a phone: how bad, which service, what, for how long.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from analytics_service.domain.notices import AlertLine, Figures, Notice, Trend
from analytics_service.domain.wording import (
    NO_DATA,
    clean,
    compared,
    duration,
    limit,
    moment,
    name,
    number,
    quantity,
)

MOST_LINES: Final = 10
_SHORT_NAME: Final = 80
_WORTH_TELLING_S: Final = 5.0
_MOST_OWN_WORDS: Final = 1000


def tag(line: AlertLine) -> str:
    """`[CRITICAL]`, or `[RESOLVED]` for what is over."""
    return "[RESOLVED]" if line.is_over else f"[{clean(line.severity, 20).upper()}]"


def told(line: AlertLine, at_s: float) -> str:
    """`payment-service: error_rate 31.2 % > 20 %, for 2 min`: one alert as it is at `at_s`; own words as they are."""
    if line.text is not None:
        return name(line.text, _MOST_OWN_WORDS)
    service, metric = name(line.service, _SHORT_NAME), clean(line.metric_name, _SHORT_NAME)
    rule = limit(line.metric_name, line.operator, line.threshold)
    lasted = _lasted_s(line, at_s)
    if line.is_over:
        was = "fired and is over already" if line.kind == "passed" else "is over"
        return f"{service}: {metric} {rule} {was}" + _after(" after ", lasted)
    if line.value is None:
        seen = f"{NO_DATA} for {metric} (rule: {rule})"
    else:
        seen = f"{metric} {compared(line.metric_name, line.value, line.operator, line.threshold)}"
    again = " still firing:" if line.kind == "repeat" else ":"
    return f"{service}{again} {seen}" + _after(", for ", lasted)


def first_line(notice: Notice) -> str:
    """What is read first, and often the only thing that is."""
    if not notice.lines:
        return "[INFO] nothing to report"
    worst = notice.lines[0]
    if notice.is_digest:
        alerts, services = _counted(notice.alerts, "alert"), _counted(notice.services, "service")
        if notice.is_over:
            return f"{tag(worst)} {alerts} in {services}: all over"
        return f"{tag(worst)} {alerts} in {services}, the worst: {told(worst, notice.at_s)}"
    return f"{tag(worst)} {told(worst, notice.at_s)}{_others(notice)}"


def facts(line: AlertLine, at_s: float) -> list[tuple[str, str]]:
    """Everything else there is to say of an alert, as pairs of what it is and how it is."""
    if line.text is not None:
        return [("Severity", clean(line.severity, 20)), ("From", name(line.service))]
    found = [
        ("Rule", name(line.rule_name)),
        ("Description", clean(line.description or "", 500)),
        ("Severity", clean(line.severity, 20)),
        ("Value", _value(line)),
        *_times(line, at_s),
        ("Resolved by" if line.is_over else "Acknowledged by", clean(line.actor or "", 255)),
        ("Comment", clean(line.comment or "", 500)),
    ]
    return [(label, text) for label, text in found if text]


def changes(trend: Trend) -> list[tuple[str, str]]:
    """What changed in the last ten minutes, as pairs: `error rate`, `0.4 % → 31.2 %`."""
    return [
        (label, f"{before} → {now}")
        for (label, before), (_, now) in zip(
            _figures(trend.before), _figures(trend.now), strict=True
        )
    ]


def not_shown(notice: Notice) -> int:
    """How many alerts the message is about beyond the ones it names."""
    return max(notice.alerts, len(notice.lines)) - len(notice.lines[:MOST_LINES])


def service_link(dashboard_url: str, service: str) -> str | None:
    """The service's page on the dashboard; None without a dashboard."""
    if not dashboard_url:
        return None
    return f"{dashboard_url}/#/services/{quote(service, safe='', errors='replace')}"


def alert_link(dashboard_url: str, alert_id: int) -> str | None:
    """The alert's page on the dashboard; None without a dashboard."""
    return f"{dashboard_url}/#/alerts/{alert_id}" if dashboard_url else None


def alerts_link(dashboard_url: str) -> str | None:
    """The page of all alerts; None without a dashboard."""
    return f"{dashboard_url}/#/alerts" if dashboard_url else None


def _figures(figures: Figures) -> list[tuple[str, str]]:
    rate = figures.requests_per_second
    return [
        ("error rate", quantity("error_rate", figures.error_rate)),
        ("p99", quantity("latency_p99_ms", figures.latency_p99_ms)),
        ("requests/s", NO_DATA if rate is None else number(rate)),
    ]


def _value(line: AlertLine) -> str:
    metric, windows = clean(line.metric_name, 255), f"{clean(line.window_size, 20)} windows"
    rule = limit(line.metric_name, line.operator, line.threshold)
    value = quantity(line.metric_name, line.value)
    if line.is_over or line.value is None:
        return f"{'last ' if line.is_over else ''}{metric}: {value}; rule: {rule}, {windows}"
    return f"{metric} {compared(line.metric_name, line.value, line.operator, line.threshold)}, {windows}"


def _times(line: AlertLine, at_s: float) -> list[tuple[str, str]]:
    lasted = _lasted_s(line, at_s)
    if lasted is None:
        return []
    if not line.is_over:
        return [("Since", f"{moment(line.active_since_s)} ({duration(lasted)})")]
    until = at_s if line.resolved_s is None else line.resolved_s
    return [("Lasted", f"{moment(line.active_since_s)} to {moment(until)} ({duration(lasted)})")]


def _lasted_s(line: AlertLine, at_s: float) -> float | None:
    """For how long it has fired, or did; None when nobody knows since when."""
    if line.active_since_s <= 0:
        return None
    until = line.resolved_s if line.is_over and line.resolved_s is not None else at_s
    return until - line.active_since_s


def _after(words: str, lasted_s: float | None) -> str:
    return "" if lasted_s is None or lasted_s < _WORTH_TELLING_S else words + duration(lasted_s)


def _others(notice: Notice) -> str:
    rest = notice.lines[1:]
    over = sum(line.is_over for line in rest)
    counts = [
        f"{count} more {what}"
        for count, what in ((len(rest) - over, "firing"), (over, "over"))
        if count
    ]
    return f" (+ {', '.join(counts)})" if counts else ""


def _counted(number_of: int, what: str) -> str:
    return f"{number_of:,} {what}" + ("" if number_of == 1 else "s")
