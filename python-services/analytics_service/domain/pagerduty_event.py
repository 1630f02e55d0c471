"""An action about an episode as PagerDuty's Events API v2 takes it. Pure."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from analytics_service.domain import notice_text
from analytics_service.domain.notices import AlertLine, PagerEvent
from analytics_service.domain.times import EPOCH
from analytics_service.domain.wording import clean, name

MOST_SUMMARY: Final = 1024
CLIENT: Final = "StackLens Analytics"
_SEVERITIES: Final = {"critical": "critical", "warning": "warning", "info": "info"}


def dedup_key(episode_id: str) -> str:
    """The key under which PagerDuty keeps an episode: the same for all its events, for no other episode, forever."""
    return "stacklens-" + hashlib.sha256(f"stacklens episode {episode_id}".encode()).hexdigest()


def pagerduty_body(event: PagerEvent, routing_key: str) -> dict[str, Any]:
    """The JSON body; `routing_key` is the integration key, a secret.

    A payload goes with every action, also where it is not asked for: what it says last is what stays to be read.
    """
    line = replace(event.line, kind="passed") if event.is_past else event.line
    service = name(line.service)
    body: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": event.action,
        "dedup_key": dedup_key(line.episode_id),
        "client": CLIENT,
        "payload": {
            "summary": _summary(event, line),
            "source": service,
            "severity": "info" if event.is_past else _SEVERITIES.get(line.severity, "error"),
            "timestamp": _timestamp(event, line),
            "component": clean(line.metric_name, 255),
            "group": service,
            "class": name(line.rule_name),
            "custom_details": _details(event, line),
        },
        "links": [
            {"href": url, "text": text}
            for url, text in (
                (notice_text.alert_link(event.dashboard_url, line.alert_id), "Alert details"),
                (notice_text.service_link(event.dashboard_url, line.service), "Dashboard"),
            )
            if url is not None
        ],
    }
    client_url = notice_text.alerts_link(event.dashboard_url)
    return body if client_url is None else body | {"client_url": client_url}


def _summary(event: PagerEvent, line: AlertLine) -> str:
    told = notice_text.told(line, event.at_s)
    if event.action == "acknowledge":
        told += f"; acknowledged by {clean(line.actor, 255)}" if line.actor else "; acknowledged"
    return clean(told, MOST_SUMMARY)


def _timestamp(event: PagerEvent, line: AlertLine) -> str:
    """When it fired, for a trigger; otherwise when it was taken on or ended."""
    at_s = event.at_s
    if event.action == "trigger" and line.active_since_s > 0:
        at_s = line.active_since_s
    elif event.action == "resolve" and line.resolved_s is not None:
        at_s = line.resolved_s
    moment = EPOCH + timedelta(milliseconds=math.floor(at_s * 1000))
    return moment.isoformat(timespec="milliseconds")


def _details(event: PagerEvent, line: AlertLine) -> dict[str, Any]:
    details: dict[str, Any] = dict(notice_text.facts(line, event.at_s))
    if event.trend is not None:
        details["Last 10 minutes"] = dict(notice_text.changes(event.trend))
    return details
