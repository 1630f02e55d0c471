"""What the real Slack and PagerDuty say to a request, as their documentation has it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

ACTIONS = ("trigger", "acknowledge", "resolve")
SEVERITIES = ("critical", "error", "warning", "info")


@dataclass(frozen=True)
class Reply:
    """What is answered. `hang_s`: seconds of silence before; `is_cut`: the connection ends in the middle of it;
    `drips`: the body never ends, a byte at a time."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    is_cut: bool = False
    drips: bool = False

    def after(self, hang_s: float) -> Reply:
        """The same after a silence."""
        return replace(self, hang_s=hang_s)


def slack_reply(body: bytes) -> Reply:
    """`ok`, or what is wrong."""
    try:
        message = json.loads(body)
    except ValueError:
        return Reply(400, "invalid_payload")
    if not isinstance(message, dict):
        return Reply(400, "invalid_payload")
    text = message.get("text")
    if not isinstance(text, str) or not text.strip():
        return Reply(400, "no_text")
    attachments = message.get("attachments", [])
    if not isinstance(attachments, list) or len(attachments) > 100:
        return Reply(400, "too_many_attachments")
    groups = [message.get("blocks", []), *(each.get("blocks", []) for each in attachments)]
    if any(len(blocks) > 50 or not all(map(_is_block, blocks)) for blocks in groups):
        return Reply(400, "invalid_blocks")
    return Reply(200, "ok")


def _is_block(block: dict[str, Any]) -> bool:
    kind: str | None = block.get("type")
    if kind == "header":
        text: dict[str, str] = block["text"]
        return text["type"] == "plain_text" and 0 < len(text["text"]) <= 150
    if kind == "section":
        return _is_text(block.get("text", {}))
    if kind == "context":
        elements = block.get("elements", [])
        return 0 < len(elements) <= 10 and all(map(_is_text, elements))
    return kind == "divider"


def _is_text(text: dict[str, str]) -> bool:
    return text.get("type") in ("mrkdwn", "plain_text") and 0 < len(text.get("text", "")) <= 3000


def pagerduty_reply(body: bytes, routing_key: str | None) -> Reply:
    """202, or 400 and all that is wrong; `routing_key` None: any of 32 characters."""
    try:
        event = json.loads(body)
    except ValueError:
        return _invalid(["JSON cannot be parsed"])
    if not isinstance(event, dict):
        return _invalid(["Event must be an object"])
    errors = _errors(event, routing_key)
    if len(body) > 512 * 1024:
        errors.append("Event is too large")
    if errors:
        return _invalid(errors)
    said = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
    return Reply(202, json.dumps(said), {"Content-Type": "application/json"})


def _errors(event: dict[str, Any], routing_key: str | None) -> list[str]:
    errors = []
    key, dedup_key = event.get("routing_key"), event.get("dedup_key")
    if not isinstance(key, str) or len(key) != 32:
        errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    elif routing_key not in (None, key):
        errors.append("Invalid routing key")
    if event.get("event_action") not in ACTIONS:
        errors.append("'event_action' is invalid (must be one of: trigger, acknowledge, resolve)")
    if not isinstance(dedup_key, str) or not 0 < len(dedup_key) <= 255:
        errors.append("Length of 'dedup_key' is incorrect (should be 1 to 255 characters)")
    payload = event.get("payload")
    if not isinstance(payload, dict):
        return [*errors, "'payload' is missing or blank"]
    summary, source = payload.get("summary"), payload.get("source")
    if not isinstance(summary, str) or not 0 < len(summary) <= 1024:
        errors.append("'payload.summary' is missing or blank, or longer than 1024 characters")
    if not isinstance(source, str) or not source:
        errors.append("'payload.source' is missing or blank")
    if payload.get("severity") not in SEVERITIES:
        errors.append(
            "'payload.severity' is invalid (must be one of: critical, error, warning, info)"
        )
    return errors


def _invalid(errors: list[str]) -> Reply:
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    return Reply(400, json.dumps(said), {"Content-Type": "application/json"})
