"""`python -m bench`: run the bench, print one table, write its results."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psycopg2
from kafka.errors import KafkaError

from analytics_service.adapters.kafka.producer import DeliveryError
from analytics_service.adapters.kafka.topics import TopicError
from bench.end_to_end import EndToEnd
from bench.errors import BenchError
from bench.progress import Progress
from bench.report import Plan, report
from bench.site import ROOT, Site
from bench.surroundings import describe, sentences
from devstack.api import DevstackError, running_stack

DESCRIPTION = """\
Measures the product on a real Kafka and a real TimescaleDB, beside its peers in the same run: events a second end to
end, a bare COPY of the same rows, a Faust app with three windowed Tables, memory, and how soon events are visible.
The stack is the embedded one, or your own servers where KAFKA_BOOTSTRAP_SERVERS and DB_HOST are set.
"""
EXAMPLES = """\
examples:
  python -m bench                       all of it, three rounds: about 10 minutes
  python -m bench --quick               one round of fewer events: about 2 minutes
  python -m bench --rounds 5 --events 2000000
  python -m bench.profile_worker        what an event costs the worker, stage by stage

exit status: 0 every promise kept, 1 a promise missed or a result wrong, 2 usage
"""
QUICK = Plan(events=200_000, faust_events=10_000, rounds=1, live_seconds=10.0)
FAILURES = (BenchError, DevstackError, DeliveryError, TopicError, KafkaError, psycopg2.Error)
RESULTS = ROOT / "bench" / "results" / "end_to_end.json"


def parse(arguments: list[str] | None) -> tuple[Plan, Path]:
    """The plan and where the results go."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = Plan()
    parser.add_argument("--quick", action="store_true", help="one round, fewer events, wider noise")
    parser.add_argument(
        "--events", type=positive_number, help=f"events in Kafka ({usual.events:,})"
    )
    parser.add_argument(
        "--faust-events",
        type=positive_number,
        help=f"events for the Faust app ({usual.faust_events:,})",
    )
    parser.add_argument("--rounds", type=positive_number, help=f"rounds ({usual.rounds})")
    parser.add_argument("--rate", type=positive_number, help=f"sustained events/s ({usual.rate:,})")
    parser.add_argument(
        "--live-seconds", type=positive_number, help=f"for how long ({usual.live_seconds:g} s)"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file (%(default)s)")
    options = parser.parse_args(arguments)
    base = QUICK if options.quick else usual
    given = {
        each.name: value
        if (value := getattr(options, each.name)) is not None
        else getattr(base, each.name)
        for each in fields(Plan)
    }
    given["faust_events"] = min(given["faust_events"], given["events"])
    return Plan(**given), options.output


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    plan, output = parse(arguments)
    # Ended politely, the children and the stack are ended too.
    signal.signal(signal.SIGTERM, leave_politely)
    progress = Progress()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="stacklens-bench-") as name,
            running_stack() as stack,
        ):
            site = Site(stack, Path(name))
            surroundings = describe(site)
            print(sentences(surroundings), file=sys.stderr)
            try:
                rounds = EndToEnd(site, plan, progress).run()
            finally:
                if stack.kafka is None:  # the embedded broker takes its topics with it
                    site.remove_topics()
            kept = report(plan, surroundings, rounds, output)
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    progress.say(f"results are in {output}")
    return 0 if kept else 1


def positive_number(text: str) -> int:
    """A whole number above 0, digits grouped or not, for argparse."""
    number = int(text.replace("_", "").replace(",", ""))
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def leave_politely(number: int, _frame: FrameType | None) -> NoReturn:
    """A signal ends the run as an exception does: what was started is ended too."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
