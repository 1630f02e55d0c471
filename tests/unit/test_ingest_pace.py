"""When the next work is taken while a flush is under way."""

from __future__ import annotations

from analytics_service.ingest.pace import Pace


def test_work_is_taken_so_late_that_it_is_ready_when_the_flush_ends() -> None:
    pace = Pace()
    assert pace.not_before_s() is None, "nothing is under way"
    pace.begun(100.0, 1_000)
    assert pace.not_before_s() == 100.0, "nothing is known yet: at once"
    pace.ended(102.0)
    assert pace.not_before_s() is None
    pace.prepared(0.5)
    pace.begun(103.0, 1_000)
    assert pace.not_before_s() == 104.5


def test_a_commit_lasts_in_proportion_to_its_messages() -> None:
    pace = Pace()
    pace.begun(0.0, 1_000)
    pace.ended(2.0)
    pace.begun(2.0, 500)
    assert pace.not_before_s() == 3.0
    pace.ended(2.5)
    pace.begun(2.5, 2_000)
    assert pace.not_before_s() == 4.5


def test_work_of_nothing_tells_nothing() -> None:
    pace = Pace()
    pace.begun(0.0, 100)
    pace.ended(1.0)
    pace.begun(1.0, 0)
    pace.ended(9.0)
    pace.begun(9.0, 100)
    assert pace.not_before_s() == 10.0
