"""`python -m bench`: run the bench, print one table, write its results."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from bench.end_to_end import EndToEnd
from bench.progress import Progress
from bench.regression import Ratio, compare, losses, store
from bench.report import Plan, ratios_of, report
from bench.running import measuring_site, run_bench
from bench.site import ROOT

DESCRIPTION = """\
Measures the product on a real Kafka and a real TimescaleDB, beside its peers in the same run: events a second end to
end, a bare COPY of the same rows, a Faust app with three windowed Tables, memory, and how soon events are visible.
The stack is the embedded one, or your own servers where KAFKA_BOOTSTRAP_SERVERS and DB_HOST are set.
"""
EXAMPLES = """\
examples:
  python -m bench                       all of it, three rounds: about 10 minutes
  python -m bench --quick               fewer events, some 2 minutes; its ratios are compared with the stored ones
  python -m bench --quick --store anew  what later quick runs are compared with, for a new release
  python -m bench --quick --store more  the same from another hour: hours differ
  python -m bench --rounds 5 --events 2000000
  python -m bench.profile_worker        what an event costs the worker, stage by stage

exit status: 0 every promise kept (--quick: no ratio worse than stored beyond the noise, whatever is promised), 1
otherwise or a result wrong, 2 usage
"""
QUICK = Plan(events=300_000, faust_events=10_000, rounds=3, live_seconds=5.0)
STORED = ROOT / "bench" / "stored_ratios.json"
RESULTS = ROOT / "bench" / "results" / "end_to_end.json"


def parse(arguments: list[str] | None) -> tuple[Plan, argparse.Namespace]:
    """The plan and the options."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = Plan()
    parser.add_argument(
        "--quick", action="store_true", help="fewer events; compares with what is stored"
    )
    parser.add_argument(
        "--store", choices=("anew", "more"), help="store this run's ratios, alone or beside others"
    )
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
    return Plan(**given), options


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    plan, options = parse(arguments)
    output: Path = options.output
    progress = Progress()

    def measure() -> bool:
        with measuring_site() as (site, surroundings):
            rounds = EndToEnd(site, plan, progress).run()
            kept = report(plan, surroundings, rounds, output)
            if options.store:
                at = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
                more = options.store == "more"
                store(ratios_of(rounds), {**at, **surroundings}, STORED, more=more)
            elif options.quick:
                return no_loss(ratios_of(rounds))
        return kept

    return run_bench(measure, output, progress)


def no_loss(ratios: Sequence[Ratio]) -> bool:
    """Print each ratio beside the stored one; whether none is a loss. Raises BenchError where none are stored."""
    compared = compare(ratios, STORED)
    lost = losses(compared)
    verdict = f"a LOSS of: {', '.join(lost)}" if lost else "no loss"
    print("", *compared, f"{verdict} (the rate is lost where both of its ratios say so)", sep="\n")
    return not lost


def positive_number(text: str) -> int:
    """A whole number above 0, digits grouped or not, for argparse."""
    number = int(text.replace("_", "").replace(",", ""))
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
