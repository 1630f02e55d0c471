"""What goes wrong when: a list drawn from a seed. Pure, so that a seed always gives the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

MEAN_GAP_S = 4.0
# Something has to be in the tables before it can be disturbed, and a fault needs time to bite before the end.
FIRST_S = 2.0
LONGEST_FAULT_S = 16.0
CALM_GAP_S = 30.0


class Kind(StrEnum):
    """What can go wrong. The value is its name on the command line."""

    KILL_WORKER = "kill-worker"
    KILL_BROKER = "kill-broker"
    KILL_DATABASE = "kill-database"
    FREEZE_WORKER = "freeze-worker"
    CUT_BROKER = "cut-broker"
    CUT_DATABASE = "cut-database"
    STALL_BROKER = "stall-broker"
    STALL_DATABASE = "stall-database"
    FILL_DISK = "fill-disk"
    DEADLOCK = "deadlock"
    LOCK_TIMEOUT = "lock-timeout"
    STATEMENT_TIMEOUT = "statement-timeout"
    TERMINATE_SESSIONS = "terminate-sessions"
    ADD_WORKER = "add-worker"
    REMOVE_WORKER = "remove-worker"


# How long each lasts, in seconds: until a killed process is started again, a connection accepted, a lock let go.
DURATIONS_S: dict[Kind, tuple[float, float]] = {
    Kind.KILL_WORKER: (0.5, 3.0),
    Kind.KILL_BROKER: (0.0, 3.0),
    Kind.KILL_DATABASE: (0.0, 3.0),
    # Longer than the session timeout of 10 s: the others take over, then the sleeper wakes up.
    Kind.FREEZE_WORKER: (13.0, 15.0),
    Kind.CUT_BROKER: (0.0, 5.0),
    Kind.CUT_DATABASE: (0.0, 5.0),
    Kind.STALL_BROKER: (1.0, 8.0),
    Kind.STALL_DATABASE: (1.0, 8.0),
    Kind.FILL_DISK: (3.0, 8.0),
    Kind.DEADLOCK: (0.0, 0.0),
    # From one lock timeout (5 s) to longer than a statement may take (10 s).
    Kind.LOCK_TIMEOUT: (6.0, 13.0),
    Kind.STATEMENT_TIMEOUT: (4.0, 4.0),
    Kind.TERMINATE_SESSIONS: (0.0, 3.0),
    Kind.ADD_WORKER: (4.0, 10.0),
    Kind.REMOVE_WORKER: (0.5, 3.0),
}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong `at_s` seconds after the beginning.

    `target` chooses among what is there at that moment (a worker, a table): taken modulo their number.
    """

    at_s: float
    kind: Kind
    target: int
    duration_s: float


def random_plan(
    seed: int, seconds: float, kinds: Sequence[Kind], mean_gap_s: float = MEAN_GAP_S
) -> tuple[Fault, ...]:
    """Faults over `seconds` seconds in order of time, about one in `mean_gap_s`; they may overlap.

    Every kind comes once before any comes twice, in an order of the seed's own. All of them are over by
    `seconds + LONGEST_FAULT_S`. Raises ValueError without kinds.
    """
    if not kinds:
        raise ValueError("a plan needs at least one kind of fault")
    rng = random.Random(f"faults {seed}")
    bag = _in_turns(rng, kinds)
    faults: list[Fault] = []
    at_s = FIRST_S + rng.uniform(0.0, mean_gap_s)
    while at_s < seconds:
        faults.append(_fault(rng, at_s, next(bag)))
        at_s += rng.uniform(0.25, 1.75) * mean_gap_s
    return tuple(faults)


def calm_plan(
    seed: int, kinds: Sequence[Kind], rounds: int, gap_s: float = CALM_GAP_S
) -> tuple[Fault, ...]:
    """`rounds` of each kind, one at a time with `gap_s` between: to measure how long recovery takes undisturbed."""
    rng = random.Random(f"calm {seed}")
    ordered = [kind for _ in range(rounds) for kind in kinds]
    return tuple(_fault(rng, FIRST_S + number * gap_s, kind) for number, kind in enumerate(ordered))


def _in_turns(rng: random.Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    while True:
        yield from rng.sample(list(kinds), len(kinds))


def _fault(rng: random.Random, at_s: float, kind: Kind) -> Fault:
    return Fault(at_s, kind, rng.randrange(1_000_000), rng.uniform(*DURATIONS_S[kind]))
