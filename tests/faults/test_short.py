"""The fault suite's short form: one seed, the quick kinds of faults, on servers of its own."""

from __future__ import annotations

import pytest

from tests.faults.arena import open_arena
from tests.faults.plan import Kind, random_plan
from tests.faults.report import outcome_lines
from tests.faults.run import run_plan

SEED = 20_260_401
SECONDS = 20.0
RATE = 500
GAP_S = 3.0
KINDS = (
    Kind.KILL_WORKER,
    Kind.KILL_DATABASE,
    Kind.CUT_BROKER,
    Kind.CUT_DATABASE,
    Kind.FREEZE_WORKER,
    Kind.DEADLOCK,
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_half_a_minute_of_faults_leaves_no_trace() -> None:
    plan = random_plan(SEED, SECONDS, KINDS, GAP_S)
    assert {fault.kind for fault in plan} == set(KINDS)
    # No fsync: a process that is killed leaves its writes with the kernel.
    with open_arena(print, fsync=False) as arena:
        outcome = run_plan(arena, SEED, plan, RATE, print)
    print("\n".join(outcome_lines(outcome)))
    assert outcome.differences == []
    assert outcome.problems == []
    assert outcome.figures["raw rows"] > 0
    assert outcome.figures["dead letters"] > 0
