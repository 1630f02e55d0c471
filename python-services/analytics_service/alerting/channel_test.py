"""A test message through one channel: is it set right, and what does the other side answer."""

from __future__ import annotations

import logging
import uuid
from typing import Final

from analytics_service.adapters.notifiers import PagerDutySender, channels_from
from analytics_service.config import Settings
from analytics_service.domain.notices import AlertLine, Notice, Outcome, PagerEvent

# Which settings switch a channel on.
SWITCHES: Final = {
    "slack": "SLACK_WEBHOOK_URL",
    "email": "SMTP_HOST and ALERT_EMAIL_TO",
    "pagerduty": "PAGERDUTY_SERVICE_KEY",
}

_log = logging.getLogger(__name__)


class ChannelOff(Exception):
    """Nothing is set for the channel; the message says what would switch it on."""


def channels_on(settings: Settings) -> list[str]:
    """The names of the channels that the settings switch on."""
    return [sender.name for sender in channels_from(settings)]


def send_test(settings: Settings, channel: str, actor: str, at_s: float) -> Outcome:
    """Send one test message, once, and say what came of it; `at_s` in epoch seconds.

    Takes as long as the channel's deadline at most, twice that for PagerDuty: there an incident is opened and closed at
    once. Raises ChannelOff. Nothing is stored; the outcome holds no secret.
    """
    sender = next((each for each in channels_from(settings) if each.name == channel), None)
    if sender is None:
        raise ChannelOff(f"{channel} is off: {SWITCHES[channel]} would switch it on")
    line = _line(actor, at_s)
    if isinstance(sender, PagerDutySender):
        outcome = sender.send(PagerEvent(action="trigger", line=line, at_s=at_s))
        if outcome.result == "sent":
            outcome = sender.send(PagerEvent(action="resolve", line=line, at_s=at_s))
    else:
        outcome = sender.send(Notice(message_id=str(uuid.uuid4()), at_s=at_s, lines=(line,)))
    _log.info("test message to %s for %s: %s, %s", channel, actor, outcome.result, outcome.detail)
    return outcome


def _line(actor: str, at_s: float) -> AlertLine:
    """An alert that is none, and says so."""
    return AlertLine(
        kind="firing",
        alert_id=0,
        episode_id=str(uuid.uuid4()),
        fingerprint="test",
        rule_name="Test message",
        service="StackLens test message",
        severity="info",
        metric_name="test_messages",
        window_size="1min",
        threshold=1.0,
        operator=">=",
        value=1.0,
        description=f"Sent by {actor} to test this channel. Nothing is wrong, nothing has to be done.",
        active_since_s=at_s,
    )
