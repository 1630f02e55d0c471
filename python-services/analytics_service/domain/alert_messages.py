"""Messages of the alert topic: from bytes to a transition, or a reason why not. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

Severity = Literal["info", "warning", "critical"]


class BadAlertMessage(ValueError):
    """A message that tells no transition; the text says why, in words for a log."""


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of an episode, as the evaluator publishes it.

    `operator` None: the rule is gone by now, and with it description and channels. `value` None: there were no data.
    """

    transition_id: UUID
    episode_id: UUID
    sequence: int
    alert_id: int
    fingerprint: str
    from_status: Literal["inactive", "pending", "active", "acknowledged"]
    to_status: Literal["pending", "active", "acknowledged", "resolved"]
    at: datetime
    rule_name: str
    service: str
    severity: Severity
    metric_name: str
    window_size: str
    threshold: float
    value: float | None = None
    window_start: datetime | None = None
    operator: str | None = None
    description: str | None = None
    notification_channels: list[str] = []
    actor: str | None = None
    comment: str | None = None


_decoder = msgspec.json.Decoder(AlertMessage)


def read_alert_message(value: bytes | None) -> AlertMessage:
    """The transition that a message's value tells. Raises BadAlertMessage."""
    if not value:
        raise BadAlertMessage("it is empty")
    try:
        message = _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadAlertMessage(" ".join(str(error).split())) from None
    if message.sequence < 1:
        raise BadAlertMessage(f"its sequence is {message.sequence}")
    if message.at.tzinfo is None:
        raise BadAlertMessage("its time has no zone")
    if any("\0" in text for text in _texts(message)):
        raise BadAlertMessage("a text holds a NUL character")
    return message


def _texts(message: AlertMessage) -> list[str]:
    found = [
        message.fingerprint, message.rule_name, message.service, message.metric_name, message.window_size,
        message.operator, message.description, message.actor, message.comment, *message.notification_channels,
    ]  # fmt: skip
    return [text for text in found if text is not None]
