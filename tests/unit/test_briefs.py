"""Figures that many people look at are looked up once a moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from dashboard_api.briefs import ASKED_WITHIN_S, Briefs
from dashboard_api.queries.overview import Brief
from dashboard_api.renewing import Renewing
from dashboard_api.schemas.overview import Freshness, StatusCounts
from dashboard_api.shared_newest import AGAIN_S, OLDEST_S, SharedNewest


def some_brief() -> Brief:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Brief(at, "healthy", StatusCounts(), {}, Freshness(None, None), [], at, 60)


class NobodyRenews(Renewing):
    """Starts no thread: the tests renew themselves."""

    def want(self, key: object, wanted: object) -> None:
        """Nothing."""


class Looks:
    """Two workers that have their newest brief in common, and a clock that stands still."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.count = 0
        shared = SharedNewest(100_000, lambda: self.now_s)
        self.one, self.other = (
            Briefs(self._look, shared, NobodyRenews(), lambda: self.now_s) for _ in range(2)
        )

    def _look(self) -> Brief:
        self.count += 1
        return some_brief()


def test_the_same_for_a_moment_then_a_new_one() -> None:
    looks = Looks()
    first = looks.one.newest()
    looks.now_s += OLDEST_S - 0.01
    assert looks.one.newest() is first
    looks.now_s += 0.01
    assert looks.one.newest() is not first
    assert looks.count == 2


def test_another_worker_has_it_too() -> None:
    looks = Looks()
    found = looks.one.newest()
    looks.now_s += 0.5
    assert looks.other.newest() == found
    assert looks.count == 1
    # 0.5 s  1.0 s: too old, although the other worker has it only for half a second.
    looks.now_s += 0.5
    looks.other.newest()
    assert looks.count == 2


def test_it_is_renewed_before_it_is_too_old_while_somebody_asks() -> None:
    looks = Looks()
    first = looks.one.newest()
    looks.now_s += AGAIN_S
    assert looks.one.due_in_s() == pytest.approx(0.0)
    assert looks.one.renew()
    assert looks.count == 2
    assert looks.one.due_in_s() == pytest.approx(AGAIN_S)
    looks.now_s += OLDEST_S - 0.01
    assert looks.one.newest() is not first
    assert looks.count == 2
    looks.now_s += ASKED_WITHIN_S + 0.1
    assert not looks.one.renew()
    assert looks.count == 2


def test_who_comes_meanwhile_waits_for_the_one_that_is_looked_up() -> None:
    looks = []
    may_end = threading.Event()

    def look() -> Brief:
        looks.append(1)
        may_end.wait(10)
        return some_brief()

    briefs = Briefs(look, SharedNewest(100_000), NobodyRenews(), lambda: 0.0)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(briefs.newest) for _ in range(4)]
        may_end.set()
        assert len({id(one.result(10)) for one in asked}) == 1
    assert len(looks) == 1


def test_a_failure_is_not_kept() -> None:
    outcomes = iter([ValueError("no database"), None])

    def look() -> Brief:
        error = next(outcomes)
        if error is not None:
            raise error
        return some_brief()

    briefs = Briefs(look, SharedNewest(100_000), NobodyRenews(), lambda: 0.0)
    with pytest.raises(ValueError, match="no database"):
        briefs.newest()
    assert briefs.newest().status == "healthy"
