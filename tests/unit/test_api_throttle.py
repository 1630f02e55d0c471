"""Who guesses passwords has to wait; nobody else does."""

from __future__ import annotations

import multiprocessing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard_api.throttle import Throttle


class Clock:
    """Monotonic seconds that stand until moved."""

    def __init__(self) -> None:
        self.now_s = 5000.0

    def __call__(self) -> float:
        return self.now_s


def test_ten_failures_within_a_minute() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    #  0 s   nine failures: still looked at
    # 50 s   the tenth: not looked at for the 10 s that are left of the minute
    # 60 s   looked at again, and the count begins anew
    for _ in range(9):
        throttle.failed("10.0.0.1")
    assert throttle.waits_s("10.0.0.1") == 0
    clock.now_s += 50
    throttle.failed("10.0.0.1")
    assert throttle.waits_s("10.0.0.1") == pytest.approx(10)
    clock.now_s += 9.5
    assert throttle.waits_s("10.0.0.1") == pytest.approx(0.5)
    clock.now_s += 0.5
    assert throttle.waits_s("10.0.0.1") == 0
    throttle.failed("10.0.0.1")
    assert throttle.waits_s("10.0.0.1") == 0


def test_other_addresses_are_not_concerned() -> None:
    throttle = Throttle(clock=Clock())
    for _ in range(50):
        throttle.failed("10.0.0.1")
    assert throttle.waits_s("10.0.0.1") > 0
    assert throttle.waits_s("10.0.0.2") == 0


def test_a_full_table_forgets_and_refuses_nobody_else() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock, entries=16)
    for number in range(500):
        clock.now_s += 0.01
        for _ in range(10):
            throttle.failed(f"10.0.{number // 250}.{number % 250}")
    assert throttle.waits_s("10.0.1.249") > 0  # the newest
    assert throttle.waits_s("192.168.0.1") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),  # one network of a customer
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    throttle = Throttle(clock=Clock())
    for _ in range(10):
        throttle.failed(one)
    assert (throttle.waits_s(other) > 0) == same


@given(st.text())
def test_any_text_is_taken_for_an_address(text: str) -> None:
    throttle = Throttle(clock=Clock(), entries=16, most=1)
    throttle.failed(text)
    assert throttle.waits_s(text) > 0


def test_workers_count_together() -> None:
    throttle = Throttle()
    fork = multiprocessing.get_context("fork")
    for _ in range(10):
        process = fork.Process(target=throttle.failed, args=("10.0.0.1",))
        process.start()
        process.join()
    assert throttle.waits_s("10.0.0.1") > 0
