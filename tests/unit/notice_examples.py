"""Notices for the tests of what messages look like: an alert of payment-service at three in the morning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from analytics_service.domain.notices import AlertLine, Figures, Notice, PagerEvent, Trend

# 2026-01-31 03:00:00 UTC; it fired two minutes before.
NOW_S = 1_769_828_400.0
FIRED_S = NOW_S - 120.0
DASHBOARD = "https://lens.example"
HOSTILE = (
    '<img src=x onerror="alert(1)">',
    "=cmd|' /C calc'!A0",
    "a\r\nBcc: victim@example.com",
    "<!channel> <@U123> <https://evil.example|click>",
    "&amp;&lt;",
    "'\"`*_~",
    "=?utf-8?q?a=0D=0ABcc:_victim@example.com?=",
    "x" * 255,
    "&" * 255,
    "🔥" * 255,
    "\u202eecivres\u202c\u200b",
    "\0\x1b[31m\u2028",
    "../../#/alerts/1?x=y|z",
    "",
)

LINE = AlertLine(
    kind="firing",
    alert_id=12,
    episode_id="6c1b0f7e-1111-4222-8333-444455556666",
    fingerprint="f1",
    rule_name="high_error_rate",
    service="payment-service",
    severity="critical",
    metric_name="error_rate",
    window_size="1min",
    threshold=20.0,
    operator=">",
    value=31.234,
    description="Too many payments fail",
    active_since_s=FIRED_S,
)
OVER: dict[str, Any] = {"resolved_s": NOW_S - 60.0, "value": 3.1}
TREND = Trend(Figures(0.4, 120.0, 50.0), Figures(31.234, 2300.4, None))


def line(**changes: Any) -> AlertLine:
    """The example with some changes."""
    return replace(LINE, **changes)


def notice(*lines: AlertLine, **changes: Any) -> Notice:
    """A notice about these lines, or about the example."""
    given: dict[str, Any] = {"trends": {"payment-service": TREND}, "dashboard_url": DASHBOARD}
    return Notice(message_id="m-1", at_s=NOW_S, lines=lines or (LINE,), **{**given, **changes})


def digest(count: int = 10, alerts: int = 37, services: int = 14, **changes: Any) -> Notice:
    """A digest that names `count` alerts out of `alerts`."""
    lines = [
        line(service=f"svc-{i}", alert_id=i, episode_id=f"e-{i}", **changes) for i in range(count)
    ]
    return notice(*lines, is_digest=True, alerts=alerts, services=services, trends={})


def event(**changes: Any) -> PagerEvent:
    """A trigger of the example, or something else about it."""
    given: dict[str, Any] = {"action": "trigger", "line": LINE, "trend": TREND}
    return PagerEvent(at_s=NOW_S, **{"dashboard_url": DASHBOARD, **given, **changes})
