"""`python -m tests.faults`: the fault suite from the command line. Exit code 0, 1 (something differs) or 2 (usage)."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg2
from kafka.errors import KafkaError

from devstack.errors import DevstackError
from tests.faults.arena import Arena, open_arena
from tests.faults.disk import NoSmallDisk, SmallDisk, small_disk
from tests.faults.plan import Fault, Kind, calm_plan, random_plan
from tests.faults.report import failed, outcome_lines, summary_lines
from tests.faults.run import Outcome, run_plan

SECONDS = 50.0
RATE = 800
DISK_MB = 768
# Rows and the database's log of a minute's stream.
DISK_MB_PER_MINUTE = 60
MOST_MINUTES = 24 * 60
CALM_KINDS = (Kind.KILL_WORKER, Kind.KILL_BROKER, Kind.KILL_DATABASE)


def seeds(text: str) -> list[int]:
    """`1..10`, or numbers with commas."""
    first, dots, last = text.partition("..")
    found = list(range(int(first), int(last) + 1)) if dots else [int(n) for n in text.split(",")]
    if not 0 < len(found) <= 1000:
        raise ValueError("1 to 1000 seeds")
    return found


def fault_kinds(text: str) -> tuple[Kind, ...]:
    """Names of kinds with commas."""
    return tuple(Kind(name) for name in text.split(","))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Disturbs the product at seeded instants under a stream of events, then compares "
        "every table with a single pass over the topic.",
        epilog="kinds of faults: " + ", ".join(Kind),
    )
    made.add_argument("--seed", type=int, help="one seed (default: one drawn, and printed)")
    made.add_argument("--seeds", type=seeds, help="several, as in 1..10 or 3,5,8")
    made.add_argument("--seconds", type=float, default=SECONDS, help="of faults for each seed")
    made.add_argument("--minutes", type=float, help="a soak of so many minutes for each seed")
    made.add_argument("--faults", type=fault_kinds, help="only these kinds, with commas between")
    made.add_argument("--rate", type=int, default=RATE, help=f"messages a second ({RATE})")
    made.add_argument(
        "--recovery",
        type=int,
        metavar="ROUNDS",
        default=0,
        help="measure undisturbed recovery: one fault at a time, half a minute apart; after the seeds, if named",
    )
    made.add_argument("--output-json", type=Path, help="write the report there as well")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    given = parser().parse_args(arguments)
    # The clients of this process meet the faults too, and would say so hundreds of times.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    drawn = random.SystemRandom().randrange(1_000_000)
    chosen = given.seeds or ([drawn] if given.seed is None else [given.seed])
    seconds = given.seconds if given.minutes is None else 60 * min(given.minutes, MOST_MINUTES)
    outcomes: list[Outcome] = []
    broken: str | None = None
    try:
        with contextlib.ExitStack() as closing:
            disk = _disk(closing, int(DISK_MB + DISK_MB_PER_MINUTE * seconds / 60))
            arena = closing.enter_context(open_arena(_say, disk))
            kinds = given.faults or arena.kinds
            plans = [(seed, random_plan(seed, seconds, kinds)) for seed in chosen]
            if given.recovery:
                calm = calm_plan(chosen[0], given.faults or CALM_KINDS, given.recovery)
                named = given.seeds or given.seed is not None
                plans = [*(plans if named else []), (chosen[0], calm)]
            for number, (seed, plan) in enumerate(plans, start=1):
                _say(f"run {number} of {len(plans)}: seed {seed}, {len(plan)} faults")
                outcomes.append(_one(arena, seed, plan, given.rate))
    except (AssertionError, DevstackError, OSError, KafkaError, psycopg2.Error) as error:
        broken = f"{type(error).__name__}: {error}"
    for line in summary_lines(outcomes, broken):
        _say(line)
    if given.output_json is not None:
        report = {"runs": [outcome.document() for outcome in outcomes], "broken": broken}
        given.output_json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if failed(outcomes, broken) else 0


def _one(arena: Arena, seed: int, plan: Sequence[Fault], rate: int) -> Outcome:
    _say("plan: " + ", ".join(f"{fault.at_s:.0f} s {fault.kind}" for fault in plan))
    outcome = run_plan(arena, seed, plan, rate, _say)
    for line in outcome_lines(outcome):
        _say(line)
    return outcome


def _disk(closing: contextlib.ExitStack, megabytes: int) -> SmallDisk | None:
    try:
        return closing.enter_context(small_disk(megabytes))
    except NoSmallDisk as reason:
        _say(f"LEFT OUT: {Kind.FILL_DISK}, for there is no small disk here: {reason}")
        return None


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
