"""What PagerDuty is sent: the form, one key an episode, the limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.pagerduty_event import dedup_key, pagerduty_body
from tests.fakes.rules import pagerduty_reply
from tests.unit.notice_examples import HOSTILE, NOW_S, OVER, event, line

KEY = "0123456789abcdef0123456789abcdef"
# printf 'stacklens episode 6c1b0f7e-1111-4222-8333-444455556666' | sha256sum
EXPECTED_DEDUP_KEY = "stacklens-d78715b6b538899eb78e6c206aba238fe0b9960d36dc36075d24938e329552da"


def test_trigger() -> None:
    assert pagerduty_body(event(), KEY) == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": EXPECTED_DEDUP_KEY,
        "client": "StackLens Analytics",
        "client_url": "https://lens.example/#/alerts",
        "payload": {
            "summary": "payment-service: error_rate 31.2 % > 20 %, for 2 min",
            "source": "payment-service",
            "severity": "critical",
            "timestamp": "2026-01-31T02:58:00.000+00:00",
            "component": "error_rate",
            "group": "payment-service",
            "class": "high_error_rate",
            "custom_details": {
                "Rule": "high_error_rate",
                "Description": "Too many payments fail",
                "Severity": "critical",
                "Value": "error_rate 31.2 % > 20 %, 1min windows",
                "Since": "2026-01-31 02:58:00 UTC (2 min)",
                "Last 10 minutes": {
                    "error rate": "0.4 % → 31.2 %",
                    "p99": "120 ms → 2,300 ms",
                    "requests/s": "50 → no data",
                },
            },
        },
        "links": [
            {"href": "https://lens.example/#/alerts/12", "text": "Alert details"},
            {"href": "https://lens.example/#/services/payment-service", "text": "Dashboard"},
        ],
    }


@pytest.mark.parametrize(
    ("changes", "summary", "severity", "timestamp"),
    [
        # an acknowledgement says by whom, and when it was taken on
        (
            {"action": "acknowledge", "line": line(actor="ada")},
            "payment-service: error_rate 31.2 % > 20 %, for 2 min; acknowledged by ada",
            "critical",
            "2026-01-31T03:00:00.000+00:00",
        ),
        (
            {"action": "acknowledge"},
            "payment-service: error_rate 31.2 % > 20 %, for 2 min; acknowledged",
            "critical",
            "2026-01-31T03:00:00.000+00:00",
        ),
        # a resolution carries a payload too, and the moment at which it ended
        (
            {"action": "resolve", "line": line(kind="resolved", **OVER)},
            "payment-service: error_rate > 20 % is over after 1 min",
            "critical",
            "2026-01-31T02:59:00.000+00:00",
        ),
        # what is over already wakes nobody: info, whatever it was, and it says so
        (
            {"is_past": True, "line": line(resolved_s=NOW_S - 60)},
            "payment-service: error_rate > 20 % fired and is over already after 1 min",
            "info",
            "2026-01-31T02:58:00.000+00:00",
        ),
        ({"line": line(active_since_s=0.0)}, "payment-service: error_rate 31.2 % > 20 %", "critical",
         "2026-01-31T03:00:00.000+00:00"),
    ],
)  # fmt: skip
def test_actions(changes: dict[str, Any], summary: str, severity: str, timestamp: str) -> None:
    body = pagerduty_body(event(**changes), KEY)
    assert body["dedup_key"] == EXPECTED_DEDUP_KEY
    assert body["event_action"] == changes.get("action", "trigger")
    payload = body["payload"]
    assert (payload["summary"], payload["severity"], payload["timestamp"]) == (
        summary,
        severity,
        timestamp,
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("critical", "critical"), ("warning", "warning"), ("info", "info"), ("fatal", "error")],
)
def test_severity(ours: str, theirs: str) -> None:
    body = pagerduty_body(event(line=line(severity=ours)), KEY)
    assert body["payload"]["severity"] == theirs


def test_another_episode_has_another_key() -> None:
    assert dedup_key("6c1b0f7e-1111-4222-8333-444455556666") == EXPECTED_DEDUP_KEY
    assert dedup_key("6c1b0f7e-1111-4222-8333-444455556667") != EXPECTED_DEDUP_KEY


def test_without_a_dashboard_and_a_trend() -> None:
    body = pagerduty_body(event(dashboard_url="", trend=None), KEY)
    assert body["links"] == []
    assert "client_url" not in body
    assert "Last 10 minutes" not in body["payload"]["custom_details"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_taken(text: str) -> None:
    bad = line(service=text, rule_name=text, description=text, actor=text, comment=text)
    for action in ("trigger", "acknowledge", "resolve"):
        body = pagerduty_body(event(line=bad, action=action), KEY)
        assert pagerduty_reply(json.dumps(body).encode(), KEY).status == 202


@given(
    st.text(st.characters(exclude_categories=()), max_size=2000),
    st.sampled_from(["trigger", "acknowledge"]),
)
def test_every_event_is_within_pagerdutys_limits(text: str, action: str) -> None:
    bad = line(
        service=text, rule_name=text, description=text, actor=text, comment=text, metric_name=text
    )
    body = pagerduty_body(event(line=bad, action=action), KEY)
    assert len(body["payload"]["summary"]) <= 1024
    assert body["payload"]["source"].splitlines() == [body["payload"]["source"]]
    assert pagerduty_reply(json.dumps(body).encode(), KEY).status == 202
