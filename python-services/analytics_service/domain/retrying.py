"""How long to wait until a message is tried again. Pure; the chance is given from outside."""

from __future__ import annotations

import math
from typing import Final

from analytics_service.domain.notices import Outcome

JITTER: Final = 0.2
# A server in trouble does not know when it is over; an alert does not wait for its guess any longer than this.
MOST_IN_TROUBLE_S: Final = 300.0
_MAIL_POSTPONED_S: Final = (10.0, 30.0, 120.0, 600.0)
# first, most: doubled with each attempt.
_GROWTH_S: Final = {"slack": (1.0, 60.0), "email": (2.0, 60.0), "pagerduty": (2.0, 300.0)}
_LIMITED_S: Final = {"slack": (30.0, 30.0), "email": (30.0, 600.0), "pagerduty": (30.0, 300.0)}


def retry_delay_s(channel: str, attempt: int, outcome: Outcome, jitter: float) -> float:
    """Seconds from the end of attempt number `attempt` (from 1) to the next one.

    `jitter`, from 0 up to but not including 1, adds up to a fifth, so that many do not come back at one moment. What
    the other side asked for (`retry_after_s`) is the least, up to MOST_IN_TROUBLE_S unless we are too fast for it.
    Raises KeyError for a channel that there is not.
    """
    return _base_s(channel, max(1, attempt), outcome) * (1.0 + JITTER * jitter)


def _base_s(channel: str, attempt: int, outcome: Outcome) -> float:
    grown = _doubled(*_GROWTH_S[channel], attempt)
    if outcome.retry_after_s is not None:
        most_s = math.inf if outcome.is_limited else MOST_IN_TROUBLE_S
        return max(grown, min(outcome.retry_after_s, most_s))
    if outcome.is_limited:
        return _doubled(*_LIMITED_S[channel], attempt)
    if channel == "email" and outcome.status is not None:
        return _MAIL_POSTPONED_S[min(attempt, len(_MAIL_POSTPONED_S)) - 1]
    return grown


def _doubled(first_s: float, most_s: float, attempt: int) -> float:
    # The exponent is bounded so that a long outage cannot overflow it.
    return min(most_s, first_s * 2.0 ** min(attempt - 1, 30))
