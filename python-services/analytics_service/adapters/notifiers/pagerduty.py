"""PagerDuty's Events API v2: https://developer.pagerduty.com/docs/events-api-v2/overview/."""

from __future__ import annotations

import json
from typing import Final

from analytics_service.adapters.notifiers.http import (
    DEADLINE_S,
    Answer,
    Unreachable,
    host_of,
    post_json,
)
from analytics_service.domain.notices import Outcome, PagerEvent
from analytics_service.domain.pagerduty_event import pagerduty_body
from analytics_service.domain.wording import clean

_MOST_DETAIL: Final = 300


class PagerDutySender:
    """Sends events with one integration key, which is a secret. The same event twice is one: its key says so."""

    name = "pagerduty"

    def __init__(self, routing_key: str, events_url: str, deadline_s: float = DEADLINE_S) -> None:
        self._key = routing_key
        self._url = events_url
        self._deadline_s = deadline_s

    def __repr__(self) -> str:
        return f"PagerDutySender({host_of(self._url)!r})"

    def send(self, event: PagerEvent) -> Outcome:
        """One attempt; raises nothing for what PagerDuty or the network does."""
        try:
            answer = post_json(self._url, pagerduty_body(event, self._key), self._deadline_s)
        except Unreachable as failure:
            return Outcome("retry", str(failure))
        return self._understood(answer)

    def _understood(self, answer: Answer) -> Outcome:
        status, detail = answer.status, f"PagerDuty answered {answer.status}"
        if status == 202:
            return Outcome("sent", detail, status=status)
        if status == 429:
            wait_s = answer.retry_after_s
            return Outcome("retry", f"{detail}: too fast", wait_s, is_limited=True, status=status)
        detail = f"{detail}{self._errors(answer.body)}"
        if status >= 500:
            return Outcome("retry", detail, answer.retry_after_s, status=status)
        if 200 <= status < 300:
            # Not PagerDuty's yes: something in between has answered, and may be gone the next time.
            return Outcome("retry", f"{detail}, which is not its yes", status=status)
        return Outcome("refused", detail, status=status)

    def _errors(self, body: str) -> str:
        """What it says is wrong with the event, without the key if it says that back."""
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(said, dict):
            return ""
        errors = said.get("errors")
        parts = [said.get("message"), *(errors if isinstance(errors, list) else [])]
        text = "; ".join(part for part in parts if isinstance(part, str))
        # First the key, then the cut: half a key would not be found any more.
        text = clean(text.replace(self._key, "***"), _MOST_DETAIL)
        return f": {text}" if text else ""
