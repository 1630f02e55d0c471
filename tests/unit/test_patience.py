"""How long something on its way is waited for, on a clock of its own."""

from __future__ import annotations

from analytics_service.notifying.patience import Patience


class FakeClock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_does_not_arrive_is_not_waited_for_for_ever() -> None:
    """0: it is on its way; 9.9: still; 10: no more, however long; then nothing is, and the next one is waited for."""
    clock = FakeClock()
    patience = Patience(10.0, clock)
    for after_s, worth in ((0.0, True), (9.9, True), (10.0, False), (500.0, False)):
        clock.now_s = 100.0 + after_s
        assert patience.is_worth_it(True) is worth
    assert not patience.is_worth_it(False)
    assert patience.is_worth_it(True)


def test_one_thing_that_has_arrived_begins_no_other_s_time_anew() -> None:
    clock = FakeClock()
    first, second = Patience(20.0, clock), Patience(10.0, clock)
    waited = []
    for _ in range(12):
        waited.append(first.is_worth_it(False) or second.is_worth_it(True))
        clock.now_s += 1.0
    assert waited == [True] * 10 + [False] * 2
