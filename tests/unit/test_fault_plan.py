"""The plan of faults and the stream under them: drawn from a seed, and nothing but the seed."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.faults.__main__ import fault_kinds, seeds
from tests.faults.plan import (
    DURATIONS_S,
    FIRST_S,
    LONGEST_FAULT_S,
    Kind,
    calm_plan,
    random_plan,
)
from tests.faults.traffic import good_value, stable_bad_values, values, verdict

NOW_S = 1_790_000_000.0
DAY_US = 86_400_000_000


def test_a_seed_gives_one_plan() -> None:
    assert random_plan(7, 60.0, list(Kind)) == random_plan(7, 60.0, list(Kind))
    assert random_plan(7, 60.0, list(Kind)) != random_plan(8, 60.0, list(Kind))


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_is_in_order_and_within_bounds(seed: int) -> None:
    plan = random_plan(seed, 90.0, list(Kind))
    times = [fault.at_s for fault in plan]
    assert times == sorted(times)
    assert times[0] >= FIRST_S
    assert times[-1] < 90.0
    # On average one in four seconds: far from none, far from a flood.
    assert 15 <= len(plan) <= 35
    for fault in plan:
        shortest, longest = DURATIONS_S[fault.kind]
        assert shortest <= fault.duration_s <= longest < LONGEST_FAULT_S


@pytest.mark.parametrize("kinds", [list(Kind), [Kind.DEADLOCK], [Kind.KILL_BROKER, Kind.FILL_DISK]])
def test_every_kind_comes_once_before_any_comes_twice(kinds: Sequence[Kind]) -> None:
    plan = random_plan(3, 400.0, kinds)
    for begin in range(0, len(plan) - len(kinds) + 1, len(kinds)):
        turn = plan[begin : begin + len(kinds)]
        assert Counter(fault.kind for fault in turn) == Counter(kinds)


def test_no_kinds_no_plan() -> None:
    with pytest.raises(ValueError, match="at least one"):
        random_plan(1, 60.0, [])


def test_calm_faults_are_far_apart() -> None:
    plan = calm_plan(1, [Kind.KILL_WORKER, Kind.KILL_BROKER], rounds=2, gap_s=30.0)
    assert [fault.kind for fault in plan] == [Kind.KILL_WORKER, Kind.KILL_BROKER] * 2
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(plan)]
    assert gaps == [30.0, 30.0, 30.0]


def test_every_kind_has_a_duration() -> None:
    assert set(DURATIONS_S) == set(Kind)


@pytest.mark.parametrize(
    ("text", "wanted"), [("1..3", [1, 2, 3]), ("5", [5]), ("4,2", [4, 2]), ("7..7", [7])]
)
def test_seeds_of_the_command_line(text: str, wanted: list[int]) -> None:
    assert seeds(text) == wanted


@pytest.mark.parametrize("text", ["", "3..1", "1..100000", "a", "1..b"])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"seeds|int"):
        seeds(text)


def test_kinds_of_the_command_line() -> None:
    assert fault_kinds("deadlock,kill-worker") == (Kind.DEADLOCK, Kind.KILL_WORKER)
    with pytest.raises(ValueError, match="earthquake"):
        fault_kinds("earthquake")


def test_about_one_message_in_a_hundred_is_bad() -> None:
    sent = list(itertools.islice(values(1, lambda: NOW_S), 20_000))
    bad = sum(verdict(value, int(NOW_S * 1e6)) is not None for value in sent)
    assert 140 <= bad <= 260  # 200, four standard deviations of 14


def test_good_events_are_good_now_and_a_day_later() -> None:
    rng = random.Random(1)
    sent = [good_value(rng, number, NOW_S) for number in range(2_000)]
    assert {verdict(value, int(NOW_S * 1e6)) for value in sent} == {None}
    assert {verdict(value, int(NOW_S * 1e6) + DAY_US) for value in sent} == {None}
    assert len(set(sent)) == len(sent)


def test_bad_values_are_of_many_kinds_and_bad_for_ever() -> None:
    bad = stable_bad_values(NOW_S)
    reasons = {verdict(value, int(NOW_S * 1e6) + DAY_US) for value in bad}
    assert None not in reasons
    assert {"empty", "invalid_json", "not_an_object", "too_large", "too_old"} <= reasons
    assert "future_timestamp" in reasons
    assert any(str(reason).startswith("missing_field:") for reason in reasons)
    assert any(str(reason).startswith("invalid_field:") for reason in reasons)
