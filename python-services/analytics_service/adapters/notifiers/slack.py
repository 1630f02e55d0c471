"""Slack's incoming webhooks: https://api.slack.com/messaging/webhooks."""

from __future__ import annotations

import json
import re
from typing import Final

from analytics_service.adapters.notifiers.http import (
    DEADLINE_S,
    Answer,
    Unreachable,
    host_of,
    post_json,
    seconds,
)
from analytics_service.domain.notices import Notice, Outcome
from analytics_service.domain.slack_message import slack_payload

# Slack's own words for errors; anything else might be the webhook said back to us.
_ERROR_WORD: Final = re.compile(r"[a-z]+(_[a-z]+)+")


class SlackSender:
    """Sends notices to one webhook, whose URL is a secret. Slack knows no way to send a thing only once."""

    name = "slack"

    def __init__(self, webhook_url: str, deadline_s: float = DEADLINE_S) -> None:
        self._url = webhook_url
        self._deadline_s = deadline_s

    def __repr__(self) -> str:
        return f"SlackSender({host_of(self._url)!r})"

    def send(self, notice: Notice) -> Outcome:
        """One attempt; raises nothing for what Slack or the network does."""
        try:
            answer = post_json(self._url, slack_payload(notice), self._deadline_s)
        except Unreachable as failure:
            return Outcome("retry", str(failure))
        return self._understood(answer)

    def _understood(self, answer: Answer) -> Outcome:
        status, detail = answer.status, f"Slack answered {answer.status}"
        if status == 200 and answer.body == "ok":
            return Outcome("sent", f"{detail} ok", status=status)
        if status == 429:
            wait_s = answer.retry_after_s
            wait_s = _wait_of_body(answer.body) if wait_s is None else wait_s
            return Outcome("retry", f"{detail}: too fast", wait_s, is_limited=True, status=status)
        detail = f"{detail}{self._word(answer.body)}"
        if status >= 500:
            return Outcome("retry", detail, answer.retry_after_s, status=status)
        if 200 <= status < 300:
            # Not Slack's yes: something in between has answered, and may be gone the next time.
            return Outcome("retry", f"{detail}, which is not its ok", status=status)
        return Outcome("refused", detail, status=status)

    def _word(self, body: str) -> str:
        word = body.strip()[:80]
        return f" {word}" if _ERROR_WORD.fullmatch(word) and word not in self._url else ""


def _wait_of_body(body: str) -> float | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return seconds(said.get("retry_after")) if isinstance(said, dict) else None
