"""What goes wrong when, under alerts: drawn from a seed, and nothing but the seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

MEAN_GAP_S = 9.0
FIRST_S = 5.0


class Kind(StrEnum):
    """What can go wrong. The value is its name on the command line."""

    KILL_LEADER = "kill-leader"
    KILL_NOTIFIER = "kill-notifier"
    KILL_BROKER = "kill-broker"
    KILL_DATABASE = "kill-database"
    FREEZE_LEADER = "freeze-leader"
    FREEZE_NOTIFIER = "freeze-notifier"
    CUT_BROKER = "cut-broker"
    CUT_DATABASE = "cut-database"


# How long each lasts, in seconds. Leases last 5 s: who is frozen finds another in its place.
DURATIONS_S: dict[Kind, tuple[float, float]] = {
    Kind.KILL_LEADER: (0.0, 3.0),
    Kind.KILL_NOTIFIER: (0.0, 3.0),
    Kind.KILL_BROKER: (0.0, 3.0),
    Kind.KILL_DATABASE: (0.0, 3.0),
    Kind.FREEZE_LEADER: (6.0, 12.0),
    Kind.FREEZE_NOTIFIER: (6.0, 12.0),
    Kind.CUT_BROKER: (0.0, 4.0),
    Kind.CUT_DATABASE: (0.0, 4.0),
}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong `at_s` seconds after the beginning; `target` chooses among what is there."""

    at_s: float
    kind: Kind
    target: int
    duration_s: float


def random_plan(
    seed: int, seconds: float, kinds: Sequence[Kind], mean_gap_s: float = MEAN_GAP_S
) -> tuple[Fault, ...]:
    """Faults in order of time, about one in `mean_gap_s`; every kind once before any comes twice.

    Raises ValueError without kinds.
    """
    if not kinds:
        raise ValueError("a plan needs at least one kind of fault")
    rng = random.Random(f"alert faults {seed}")
    turns = _in_turns(rng, kinds)
    faults: list[Fault] = []
    at_s = FIRST_S + rng.uniform(0.0, mean_gap_s)
    while at_s < seconds:
        kind = next(turns)
        faults.append(Fault(at_s, kind, rng.randrange(1_000), rng.uniform(*DURATIONS_S[kind])))
        at_s += rng.uniform(0.3, 1.7) * mean_gap_s
    return tuple(faults)


def _in_turns(rng: random.Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    while True:
        yield from rng.sample(list(kinds), len(kinds))
