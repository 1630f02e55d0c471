"""A message in somebody's own words to every channel that is on: how a failed job of cron tells people."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from analytics_service.adapters.notifiers import PagerDutySender, Sender, channels_from
from analytics_service.config import Settings
from analytics_service.domain.notices import AlertLine, Notice, Outcome, PagerEvent
from analytics_service.domain.retrying import retry_delay_s

ATTEMPTS: Final = 3
LONGEST_WAIT_S: Final = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TextMessage:
    """What to tell: `text` in one line, from which machine, how bad (info, warning, critical), when (epoch seconds)."""

    text: str
    host: str
    severity: str
    at_s: float


def send_text(
    settings: Settings, message: TextMessage, wait: Callable[[float], object] = time.sleep
) -> dict[str, Outcome]:
    """Tell every channel that is on, at the same time, and return what came of it by channel; no secret is in it.

    What fails for the moment is tried 3 times, with `wait(seconds)`, at most 10, in between. On PagerDuty the same text
    from the same machine is the same incident until somebody resolves it; nobody else does. Nothing is stored.
    """
    senders = channels_from(settings)
    if not senders:
        return {}
    with ThreadPoolExecutor(len(senders), thread_name_prefix="text-message") as pool:
        running = {each.name: pool.submit(_send_patiently, each, message, wait) for each in senders}
        return {name: future.result() for name, future in running.items()}


def _send_patiently(
    sender: Sender, message: TextMessage, wait: Callable[[float], object]
) -> Outcome:
    message_id = str(uuid.uuid4())
    outcome = _send(sender, message, message_id)
    for attempt in range(1, ATTEMPTS):
        if outcome.result != "retry":
            break
        delay_s = retry_delay_s(sender.name, attempt, outcome, random.random())
        wait(min(delay_s, LONGEST_WAIT_S))
        outcome = _send(sender, message, message_id)
    _log.info("message to %s: %s, %s", sender.name, outcome.result, outcome.detail)
    return outcome


def _send(sender: Sender, message: TextMessage, message_id: str) -> Outcome:
    line = _line(message)
    if isinstance(sender, PagerDutySender):
        return sender.send(PagerEvent(action="trigger", line=line, at_s=message.at_s))
    return sender.send(Notice(message_id=message_id, at_s=message.at_s, lines=(line,)))


def _line(message: TextMessage) -> AlertLine:
    said = f"message from {message.host}: {message.text}"
    return AlertLine(
        kind="firing",
        alert_id=0,
        episode_id=str(uuid.uuid5(uuid.NAMESPACE_OID, said)),
        fingerprint="message",
        rule_name="notify_alert",
        service=message.host,
        severity=message.severity,
        metric_name="message",
        window_size="-",
        threshold=0.0,
        text=message.text,
    )
