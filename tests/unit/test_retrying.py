"""When a message is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.notices import Outcome
from analytics_service.domain.retrying import retry_delay_s

NETWORK = Outcome("retry", "connection refused")
BROKEN = Outcome("retry", "answered 503", status=503)
LIMITED = Outcome("retry", "too fast", is_limited=True, status=429)
LATER = Outcome("retry", "451 later", status=451)


def asked(seconds: float, *, is_limited: bool = True) -> Outcome:
    """An outcome in which the other side says how long to wait."""
    status = 429 if is_limited else 503
    return Outcome("retry", "wait", seconds, is_limited=is_limited, status=status)


@pytest.mark.parametrize(
    ("channel", "outcome", "delays"),
    [
        # the delays after the attempts 1, 2, 3, ...
        ("slack", NETWORK, [1, 2, 4, 8, 16, 32, 60, 60]),
        ("slack", BROKEN, [1, 2, 4, 8, 16, 32, 60, 60]),
        ("slack", LIMITED, [30, 30, 30]),
        ("slack", asked(2), [2, 2, 4, 8]),
        ("slack", asked(90), [90, 90, 90, 90, 90, 90, 90, 90]),
        ("slack", asked(0), [1, 2, 4]),
        ("slack", asked(10, is_limited=False), [10, 10, 10, 10, 16]),
        # a server in trouble that names a day is asked again after minutes; who limits us is taken at its word
        ("slack", asked(86_400, is_limited=False), [300, 300]),
        ("pagerduty", asked(301, is_limited=False), [300, 300]),
        ("slack", asked(86_400), [86_400, 86_400]),
        ("pagerduty", NETWORK, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
        ("pagerduty", LIMITED, [30, 60, 120, 240, 300, 300]),
        ("pagerduty", asked(7), [7, 7, 8, 16]),
        # a mail server that said later, and one that said nothing
        ("email", LATER, [10, 30, 120, 600, 600]),
        ("email", NETWORK, [2, 4, 8, 16, 32, 60, 60]),
    ],
)
def test_delays(channel: str, outcome: Outcome, delays: list[float]) -> None:
    found = [retry_delay_s(channel, attempt, outcome, 0.0) for attempt in range(1, len(delays) + 1)]
    assert found == delays


@pytest.mark.parametrize(("jitter", "delay"), [(0.0, 60.0), (0.5, 66.0), (0.75, 69.0)])
def test_jitter_adds_up_to_a_fifth(jitter: float, delay: float) -> None:
    assert retry_delay_s("slack", 99, NETWORK, jitter) == pytest.approx(delay)


def test_an_outage_of_any_length_overflows_nothing() -> None:
    assert retry_delay_s("slack", 10**9, NETWORK, 0.0) == 60.0
    assert retry_delay_s("pagerduty", 0, NETWORK, 0.0) == 2.0, "no attempt counts as the first"


def test_a_channel_that_there_is_not_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        retry_delay_s("pigeon", 1, NETWORK, 0.0)


@given(
    st.sampled_from(["slack", "email", "pagerduty"]),
    st.integers(1, 1000),
    st.floats(0, 86_400),
    st.booleans(),
    st.floats(0, 1, exclude_max=True),
)
def test_never_earlier_than_asked_for(
    channel: str, attempt: int, wait_s: float, is_limited: bool, jitter: float
) -> None:
    delay = retry_delay_s(channel, attempt, asked(wait_s, is_limited=is_limited), jitter)
    assert delay >= (wait_s if is_limited else min(wait_s, 300.0))
    assert delay <= 1.2 * (max(wait_s, 300.0) if is_limited else 300.0)
