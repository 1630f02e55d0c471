"""The life of our alerts beside Prometheus' own evaluator: the same series, the same state at every step.

Rules that both can express: an operator, a threshold, `for` (our duration) and `keep_firing_for`; a duration of 0 fires
at once in both. promtool says whether our states are right, so that a mistake in our idea of Prometheus fails too.

Left out, because ours is another on purpose: the resolve threshold (Prometheus has none), `min_requests`, two windows
of which either is enough, acknowledging, and gaps in a series. Where data are missing Prometheus takes an expression
without a result for a condition that is over; ours waits for 5 minutes and then does what the rule's `no_data_policy`
says. Times between two steps are left out too: promtool evaluates at even intervals, ours counts time at any.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analytics_service.domain.alerts import Status
from analytics_service.domain.rules import OPERATORS, Rule
from devstack.api import to_stderr
from devstack.cache import default_directory
from devstack.errors import NotHereError
from devstack.prometheus import fetch_promtool
from tests.reference.prometheus import Case, judge, statuses

STEPS = 60
RANDOM_CASES = 240
LIMIT = 5.0
LOW, HIGH = 1.0, 9.0
# As close to the threshold as numbers can be.
BELOW, ABOVE = math.nextafter(LIMIT, 0), math.nextafter(LIMIT, 9)
INTERVALS_S = (1, 15)


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' program, downloaded when it is asked for the first time."""
    try:
        return fetch_promtool(default_directory(), to_stderr)
    except NotHereError as error:
        pytest.skip(str(error))


def case(operator: str, duration_s: int, keep_s: int, values: Sequence[float]) -> Case:
    """A rule on the error rate, whose running window counts with every operator."""
    rule = Rule(
        rule_name="r",
        metric_name="error_rate",
        operator=operator,
        threshold=LIMIT,
        severity="warning",
        duration_seconds=duration_s,
        keep_firing_seconds=keep_s,
    )
    return Case(rule, values)


# (why, steps of `for`, steps of `keep_firing_for`, the series: # is above the threshold, . is below, = is on it).
DRAWN = (
    ("never", 0, 0, "............"),
    ("always, at once", 0, 0, "############"),
    ("always, after a while", 5, 0, "############"),
    ("never long enough", 4, 0, "####.####.##"),
    ("just long enough", 3, 0, "####.####.##"),
    ("flapping, at once and over at once", 0, 0, "#.#.#.#.#.#."),
    ("flapping faster than its duration", 1, 0, "#.#.#.#.#.#."),
    ("flapping, held together", 0, 2, "#.#.#.#.#.#."),
    ("held for one step too few", 0, 2, "#..#..#...#."),
    ("held for just enough steps", 0, 3, "#..#..#...#."),
    ("a duration and a hold", 2, 3, "###...###..#"),
    ("over, and again at once", 1, 1, "##..##..##.."),
    ("pending again after it was over", 2, 1, "####..###..."),
    ("on the threshold", 0, 0, "============"),
    ("from the threshold up and down", 1, 1, "==##==..==##"),
    ("longer than the series", 20, 20, "############"),
    ("held beyond the end of the series", 0, 20, "#..........."),
    ("violated from the first moment on", 1, 0, "##.........."),
)
_DRAWN_VALUES = {"#": HIGH, ".": LOW, "=": LIMIT}


def drawn_cases(interval_s: int) -> Iterator[Case]:
    """Those written by hand, with each operator; also with times that lie just beside a step."""
    for _, duration, keep, picture in DRAWN:
        values = [_DRAWN_VALUES[each] for each in picture.ljust(STEPS, picture[-1])]
        for operator in OPERATORS:
            for beside in (0,) if interval_s == 1 else (-1, 0, 1):
                times = [max(0, steps * interval_s + beside) for steps in (duration, keep)]
                yield case(operator, times[0], times[1], values)


def random_cases(interval_s: int) -> Iterator[Case]:
    """Series that jump, stay, wander, or keep to the threshold, under rules of any times."""
    dice = random.Random(20260131)
    times = [0, 1, *(n * interval_s for n in (1, 2, 3, 5, 9)), 2 * interval_s + interval_s // 2]
    shapes = (_jumping, _staying, _wandering, _close)
    for number in range(RANDOM_CASES):
        values = shapes[number % len(shapes)](dice)
        yield case(dice.choice(list(OPERATORS)), dice.choice(times), dice.choice(times), values)


def _jumping(dice: random.Random) -> list[float]:
    return [dice.choice((LOW, HIGH)) for _ in range(STEPS)]


def _staying(dice: random.Random) -> list[float]:
    values: list[float] = []
    while len(values) < STEPS:
        values += [dice.choice((LOW, LIMIT, HIGH))] * dice.randint(1, 9)
    return values[:STEPS]


def _wandering(dice: random.Random) -> list[float]:
    values = [LIMIT]
    while len(values) < STEPS:
        home = (LIMIT - values[-1]) / 8
        values.append(values[-1] + home + dice.choice((-1.0, -0.5, 0.0, 0.5, 1.0)))
    return values


def _close(dice: random.Random) -> list[float]:
    return [dice.choice((BELOW, LIMIT, ABOVE)) for _ in range(STEPS)]


def all_cases(interval_s: int) -> list[Case]:
    """Every case at this interval."""
    return [*drawn_cases(interval_s), *random_cases(interval_s)]


def ours(cases: Sequence[Case], interval_s: int) -> list[list[Status]]:
    """The states that our state machine gives."""
    return [statuses(each.rule, each.values, interval_s) for each in cases]


@pytest.mark.parametrize("interval_s", INTERVALS_S)
def test_prometheus_finds_the_same_states_at_every_step(
    promtool: Path, tmp_path: Path, interval_s: int
) -> None:
    cases = all_cases(interval_s)
    expected = ours(cases, interval_s)
    # Of every kind there is enough to judge.
    assert min(Counter(status for each in expected for status in each).values()) > 500
    verdict = judge(promtool, tmp_path, interval_s, cases, expected)
    assert verdict.agrees, verdict.said[-5000:]


@pytest.mark.parametrize(
    ("real", "expected"), list(itertools.permutations(("inactive", "pending", "active"), 2))
)
def test_one_wrong_state_of_one_step_is_noticed(
    promtool: Path, tmp_path: Path, real: Status, expected: Status
) -> None:
    cases = list(random_cases(15))[:24]
    states = ours(cases, 15)
    places = [(n, at) for n, each in enumerate(states) for at in range(STEPS) if each[at] == real]
    number, at = random.Random(7).choice(places)
    states[number][at] = expected
    verdict = judge(promtool, tmp_path, 15, cases, states)
    assert not verdict.agrees
    assert f'case="{number}"' in verdict.said


@pytest.mark.parametrize(
    "changes",
    [
        {"duration_seconds": 31},
        {"duration_seconds": 15},
        {"keep_firing_seconds": 31},
        {"keep_firing_seconds": 15},
        {"operator": ">="},
        {"threshold": ABOVE},
    ],
    ids=str,
)
def test_a_state_machine_that_is_off_by_a_little_is_noticed(
    promtool: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    values = [LIMIT, LOW, *[HIGH] * 3, *[LOW] * 4, *[ABOVE] * 4]
    right = case(">", 30, 30, values)
    assert judge(promtool, tmp_path, 15, [right], ours([right], 15)).agrees
    wrong = replace(right.rule, **changes)
    assert not judge(promtool, tmp_path, 15, [right], [statuses(wrong, values, 15)]).agrees
