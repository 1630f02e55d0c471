"""`python -m bench.alerts`: how long a look at all alert rules takes, and how soon an alert is told.

First the evaluator by itself over 1,000 services x 20 rules, then the way of single events through real workers. The
figures of a look are of this process's wall clock; on a busy machine the CPU seconds beside them say more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.alert_episodes import Traffic
from bench.alert_looks import FIRE, LOOKS, OPEN, PUBLISH, QUIET, LooksResult, run_looks
from bench.alert_way import TOPIC, WEBHOOK, WayResult, run_way
from bench.figures import Line, Promise
from bench.outcome import report
from bench.progress import Progress
from bench.running import FAILURES
from bench.site import ROOT, Site
from bench.surroundings import describe, sentences
from bench.truth import nearest_rank
from devstack.api import running_stack

LOOK_S = 1.0
PROMISED_LOOKS = (QUIET, OPEN, FIRE)
STORM_S = 1.0
ARRIVAL_P99_S = {TOPIC: 2.0, WEBHOOK: 4.0}
RESULTS = ROOT / "bench" / "results" / "alerts.json"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m bench.alerts", description=__doc__)
    parser.add_argument("--services", type=int, default=1000, help="services (%(default)s)")
    parser.add_argument("--rules", type=int, default=20, help="rules for each (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of looks (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the episodes (%(default)s)")
    parser.add_argument("--episodes", type=int, default=120, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=120.0, help="of episodes (%(default)s)")
    parser.add_argument(
        "--storm", type=int, default=500, help="services that break in one second (%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="one round, 100 episodes in 75 s")
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file (%(default)s)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.episodes, options.seconds = 1, 100, 75.0
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status: 0 every promise kept, 1 one missed or a result wrong."""
    options = parse(arguments)
    progress = Progress()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="stacklens-bench-") as name,
            running_stack() as stack,
        ):
            site, stormy = Site(stack, Path(name)), Site(stack, Path(name))
            surroundings = describe(site)
            print(sentences(surroundings), file=sys.stderr)
            try:
                traffic = Traffic(options.services, options.episodes, options.seconds)
                way = run_way(site, options.workers, options.rules, traffic, progress, "episodes")
                traffic = Traffic(options.services, options.storm, STORM_S)
                storm = run_way(stormy, options.workers, options.rules, traffic, progress, "storm")
                looks = run_looks(site, options.services, options.rules, options.rounds, progress)
            finally:
                if stack.kafka is None:  # the embedded broker takes its topics with it
                    site.remove_topics()
                    stormy.remove_topics()
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    lines = [*look_lines(looks), *way_lines(way), *storm_lines(storm)]
    content = {"looks": asdict(looks), "way": asdict(way), "storm": asdict(storm)}
    kept = report(options.output, "alerts", surroundings, content, lines)
    progress.say(f"results are in {options.output}")
    return 0 if kept else 1


def look_lines(result: LooksResult) -> list[Line]:
    """Medians over all looks of a kind, in the order in which alerts live; the promise is for the usual three."""
    lines = []
    about = f"look, {result.services * result.rules:,} alerts"
    for what in LOOKS:
        promise = Promise("below", LOOK_S) if what in PROMISED_LOOKS else None
        lines.append(Line(f"{about}: {what}", result.seconds[what], "{:.3f} s", promise))
        lines.append(Line("  CPU: evaluator and session", result.cpu_seconds[what], "{:.3f} s"))
    lines.append(Line(f"  {PUBLISH}", result.seconds[PUBLISH], "{:.3f} s"))
    return lines


def way_lines(result: WayResult) -> list[Line]:
    """p50 and p99 over the episodes, for each place where alerts arrive."""
    lines = []
    for where, seconds in result.seconds.items():
        ordered = np.sort(np.array(seconds))
        about = f"event to {where}, {result.episodes} episodes"
        limit = ARRIVAL_P99_S.get(where)
        promise = None if limit is None else Promise("below", limit)
        lines.append(Line(f"{about}: p50", [nearest_rank(ordered, 50)], "{:.3f} s"))
        lines.append(Line(f"{about}: p99", [nearest_rank(ordered, 99)], "{:.3f} s", promise))
        lines.append(Line("  slowest", [float(ordered[-1])], "{:.3f} s"))
    return lines


def storm_lines(result: WayResult) -> list[Line]:
    """Looks while many services broke at once, and when the last of them was told."""
    about = f"storm, {result.episodes} services in a second"
    promise = Promise("most", LOOK_S)
    lines = [
        Line(f"{about}: p99 of looks at most", [result.looks_p99_below_s], "{:g} s", promise),
        Line("  all looks at most", [result.looks_all_below_s], "{:g} s"),
    ]
    for where, seconds in result.seconds.items():
        lines.append(Line(f"{about}: event to {where}, slowest", [max(seconds)], "{:.3f} s"))
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
