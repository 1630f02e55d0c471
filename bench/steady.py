"""`python -m bench.steady`: does the time to be visible stay what it is, with many services, for an hour?

Rows of live windows grow with the events in them, and an hour's most of all; what a flush costs grows with them. One
worker on 12 partitions and a steady stream, as in `bench.live`, every event timed; five minutes at a time.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from bench.figures import Line, Promise
from bench.live import LiveResult, run_live
from bench.progress import Progress
from bench.running import parser_of, run_measurement
from bench.scale import PARTITIONS
from bench.site import ROOT, Site

RESULTS = ROOT / "bench" / "results" / "steady.json"
PART_S = 300.0
EXAMPLES = """\
examples:
  python -m bench.steady                an hour of 5,000 services at 10,000 events/s; some 40 GB of disk
  python -m bench.steady --minutes 10 --services 1000

exit status: 0 promises kept, 1 a promise missed or a result wrong, 2 usage
"""


def lines_of(live: LiveResult) -> list[Line]:
    """The table."""
    lines = [
        Line(
            f"from {PART_S / 60 * number:g} min on: visible after, p99 (p50 to worst)",
            [part.p50_s, part.p99_s, part.worst_s],
            "{:.2f} s",
        )
        for number, part in enumerate(live.parts)
    ]
    return [
        Line("events", [live.events], "{:,.0f}"),
        *lines,
        Line("all of it: visible after, p50", [live.p50_s], "{:.2f} s"),
        Line("  p99", [live.p99_s], "{:.2f} s", Promise("most", 3.0)),
        Line("peak memory", [live.peak_memory_bytes / 1e6], "{:.0f} MB", Promise("most", 600)),
    ]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = parser_of("bench.steady", __doc__, EXAMPLES, RESULTS)
    parser.add_argument("--minutes", type=float, default=60.0, help="(%(default)g)")
    parser.add_argument("--rate", type=int, default=10_000, help="events/s (%(default)s)")
    parser.add_argument("--services", type=int, default=5_000, help="(%(default)s)")
    return parser.parse_args(arguments)


def measure(
    options: argparse.Namespace, site: Site, progress: Progress
) -> tuple[dict[str, Any], list[Line]]:
    """What goes into the results file, and its table."""
    wider = replace(site, partitions=PARTITIONS)
    topic = wider.make_topic("steady")
    seconds = 60 * options.minutes
    with wider.database("steady") as database:
        live = run_live(
            wider, database, topic, options.rate, seconds, progress, options.services, PART_S
        )
    content = {
        "plan": {"seconds": seconds, "rate": options.rate, "services": options.services},
        "live": asdict(live),
    }
    return content, lines_of(live)


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parse(arguments)
    return run_measurement("steady", options.output, partial(measure, options))


if __name__ == "__main__":
    raise SystemExit(main())
