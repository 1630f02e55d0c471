"""Figures that many people look at are looked up once a moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from dashboard_api.briefs import KEPT_S, Briefs
from dashboard_api.queries.overview import Brief
from dashboard_api.schemas.overview import Freshness, StatusCounts


def some_brief() -> Brief:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Brief(at, "healthy", StatusCounts(), {}, Freshness(None, None), [], at, 60)


def test_the_same_for_a_moment_then_a_new_one() -> None:
    now_s = [0.0]
    briefs = Briefs(some_brief, lambda: now_s[0])
    first = briefs.newest()
    now_s[0] = KEPT_S - 0.01
    assert briefs.newest() is first
    now_s[0] = KEPT_S
    assert briefs.newest() is not first


def test_who_comes_meanwhile_waits_for_the_one_that_is_looked_up() -> None:
    looks = []
    may_end = threading.Event()

    def look() -> Brief:
        looks.append(1)
        may_end.wait(10)
        return some_brief()

    briefs = Briefs(look, lambda: 0.0)
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

    briefs = Briefs(look, lambda: 0.0)
    with pytest.raises(ValueError, match="no database"):
        briefs.newest()
    assert briefs.newest().status == "healthy"
