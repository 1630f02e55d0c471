"""How each channel is spoken to."""

from __future__ import annotations

from analytics_service.config import Settings
from analytics_service.domain.telling import Pace
from analytics_service.notifying.dispatcher import Manner
from analytics_service.notifying.plans import plan_events, plan_groups

# Slack takes one message a second from a webhook, and may shut out for good who keeps on above that.
SPACING_S = {"slack": 1.0}


def manner_of(channel: str, settings: Settings) -> Manner:
    """What the settings and the channel's nature ask for."""
    return Manner(
        plan=plan_events if channel == "pagerduty" else plan_groups,
        pace=Pace(
            settings.notify_group_wait_sec,
            settings.notify_group_interval_sec,
            settings.notify_repeat_sec,
        ),
        spacing_s=SPACING_S.get(channel, 0.0),
        dashboard_url=settings.dashboard_url.rstrip("/"),
        breaker_reset_s=settings.breaker_reset_sec,
    )
