"""`python -m tests.faults.alerts`: alerts under faults, from the command line. Exit code 0, 1 (wrong) or 2 (usage)."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg2
from kafka.errors import KafkaError

from devstack.errors import DevstackError
from tests.faults.__main__ import seeds
from tests.faults.alerts.plan import Kind, random_plan
from tests.faults.alerts.report import outcome_lines, summary_lines
from tests.faults.alerts.run import Outcome, run_plan
from tests.faults.arena import open_arena

MINUTES = 3.0
EXAMPLES = """examples:
  python -m tests.faults.alerts --seeds 1..5 --minutes 3
  python -m tests.faults.alerts --seeds 7 --faults kill-leader,freeze-leader
  python -m tests.faults.alerts --seeds 3 --minutes 15 --output-json alerts.json

kinds of faults: """


def kinds(text: str) -> tuple[Kind, ...]:
    """Names of kinds with commas."""
    return tuple(Kind(name) for name in text.split(","))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.faults.alerts",
        description="Services in and out of trouble, people, three channels that fail now and then, and faults at "
        "seeded instants; then every alert, message and notification is compared with what should have been.",
        epilog=EXAMPLES + ", ".join(Kind),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--seeds", type=seeds, default=[1], help="as in 1..5 or 3,5,8 (1)")
    made.add_argument("--minutes", type=float, default=MINUTES, help=f"of each seed ({MINUTES:g})")
    made.add_argument("--faults", type=kinds, default=tuple(Kind), help="only these, with commas")
    made.add_argument("--output-json", type=Path, help="write the report there as well")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    given = parser().parse_args(arguments)
    for noisy in ("kafka", "aiokafka", "mail"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    outcomes: list[Outcome] = []
    broken: str | None = None
    try:
        with open_arena(_say) as arena:
            for number, seed in enumerate(given.seeds, start=1):
                plan = random_plan(seed, 60 * given.minutes, given.faults)
                _say(f"run {number} of {len(given.seeds)}: seed {seed}, {len(plan)} faults")
                outcomes.append(run_plan(arena, seed, plan, 60 * given.minutes, _say))
                for line in outcome_lines(outcomes[-1]):
                    _say(line)
    except (AssertionError, DevstackError, OSError, KafkaError, psycopg2.Error) as error:
        broken = f"{type(error).__name__}: {error}"
    for line in summary_lines(outcomes, broken):
        _say(line)
    if given.output_json is not None:
        report = {"runs": [outcome.document() for outcome in outcomes], "broken": broken}
        given.output_json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if broken is None and outcomes and all(each.good for each in outcomes) else 1


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
