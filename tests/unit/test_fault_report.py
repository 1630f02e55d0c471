"""What a run's outcome says: late recoveries are shown, differences and problems fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.report import failed, outcome_lines, summary_lines
from tests.faults.run import Measured, Outcome


def outcome(**changes: Any) -> Outcome:
    """A run in which all went well, but for `changes`."""
    given: dict[str, Any] = {
        "seed": 4,
        "seconds": 60.0,
        "faults": [],
        "figures": {"in the topic": 1000, "faults": 3},
        "marks": {"deadlocks": 1},
        "recoveries": [],
    }
    return Outcome(**(given | changes))


@pytest.mark.parametrize(
    ("what", "seconds", "disturbed", "late"),
    [
        ("kill -9 of a worker", 14.9, False, False),
        ("kill -9 of a worker", 15.1, False, True),
        ("kill -9 of a worker", 15.1, True, False),  # another fault may be to blame
        ("the broker back", 10.1, False, True),
        ("the database back", 9.9, False, False),
        ("a worker frozen", 99.0, False, False),  # nothing is promised
    ],
)
def test_late_is_above_the_promise_and_undisturbed(
    what: str, seconds: float, disturbed: bool, late: bool
) -> None:
    measured = Measured(what, seconds, disturbed)
    assert measured.late is late
    lines = list(outcome_lines(outcome(recoveries=[measured])))
    assert any("ABOVE THE PROMISE" in line for line in lines) is late
    summary = list(summary_lines([outcome(recoveries=[measured])], None))
    assert any("1 ABOVE THE PROMISE" in line for line in summary) is late


def test_a_late_recovery_alone_does_not_fail() -> None:
    late = outcome(recoveries=[Measured("the broker back", 60.0, False)])
    assert late.good
    assert not failed([late], None)


@pytest.mark.parametrize("changes", [{"differences": ["a row"]}, {"problems": ["an end"]}])
def test_differences_and_problems_fail(changes: dict[str, list[str]]) -> None:
    bad = outcome(**changes)
    assert failed([outcome(seed=1), bad], None)
    assert "seed 4: FAILED (60 s)" in outcome_lines(bad)
    assert "FAILED: seeds 4" in summary_lines([outcome(seed=1), bad], None)
    assert bad.document()["good"] is False


def test_no_run_and_a_broken_run_fail() -> None:
    assert failed([], None)
    assert failed([outcome()], "DevstackError: no port")
    assert "BROKEN OFF: DevstackError: no port" in summary_lines([], "DevstackError: no port")
