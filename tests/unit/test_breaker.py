"""The circuit breaker by a table of what happens when."""

from __future__ import annotations

import pytest

from analytics_service.domain.breaker import Breaker, BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def failed_times(count: int, now_s: float = 0.0, reset_s: float = 10.0) -> Breaker:
    """A breaker after so many failures in a row."""
    breaker = Breaker(reset_s)
    for _ in range(count):
        breaker.failed(now_s)
    return breaker


def test_five_failures_in_a_row_open_it() -> None:
    assert [failed_times(n).state for n in range(7)] == [*[CLOSED] * 5, OPEN, OPEN]


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = failed_times(4)
    assert breaker.succeeded() is False
    assert [breaker.failed(0.0) for _ in range(5)] == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("now_s", "allowed", "wait_s"),
    [(0.0, False, 10.0), (9.5, False, 0.5), (10.0, True, 0.0), (99.0, True, 0.0)],
)
def test_an_open_one_lets_a_try_through_after_its_reset(
    now_s: float, allowed: bool, wait_s: float
) -> None:
    breaker = failed_times(5)
    assert breaker.wait_s(now_s) == wait_s
    assert breaker.allows(now_s) is allowed
    assert breaker.state is (HALF_OPEN if allowed else OPEN)


def test_only_one_try_at_a_time_while_half_open() -> None:
    breaker = failed_times(5)
    assert breaker.allows(10.0)
    assert not breaker.allows(10.1)
    # A try that never reports back does not block it for ever.
    assert breaker.allows(20.0)


def test_the_try_decides() -> None:
    breaker = failed_times(5)
    assert breaker.allows(10.0)
    assert breaker.failed(11.0) is True
    assert (breaker.state, breaker.wait_s(11.0)) == (OPEN, 10.0)
    assert breaker.allows(21.0)
    assert breaker.succeeded() is True
    assert (breaker.state, breaker.allows(21.0)) == (CLOSED, True)
    # And closed means closed: four failures more do not open it.
    assert [breaker.failed(22.0) for _ in range(5)] == [False, False, False, False, True]


def test_failures_while_it_is_open_do_not_put_the_try_off() -> None:
    breaker = failed_times(5)
    assert breaker.failed(9.0) is False
    assert breaker.allows(10.0)
