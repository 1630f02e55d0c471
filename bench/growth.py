"""`python -m bench.growth`: how cost grows with the days that the database holds, and with the backlog that waits.

Days: windows of 200 services for 1, 7 and 30 days, as far as the tiers still hold them, lie in the tables before a
worker reads its backlog. Backlog: 100,000 to 10,000,000 events wait in the topic. Everything that was read is checked:
each event once, and windows that add up.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from analytics_service.adapters.timescale.migrations import Migrator
from bench.api_layout import DAY_S, make_shapes
from bench.api_seed import Seeded, lay_out_windows
from bench.events import Recipe
from bench.figures import Line, Promise
from bench.load import LoadResult, fill, run_load
from bench.progress import Progress
from bench.running import parser_of, run_measurement
from bench.site import ROOT, Site
from bench.truth import WINDOWS
from bench.verify import total_events, verify_raw_rows, verify_totals

RESULTS = ROOT / "bench" / "results" / "growth.json"
DAYS = (1, 7, 30)
BACKLOGS = (100_000, 1_000_000, 10_000_000)
SERVICES = 200
MEMORY_MB = 300
EXAMPLES = """\
examples:
  python -m bench.growth                                  some 12 minutes, 15 GB of disk for a while
  python -m bench.growth --days 1 7 --backlog 200000 --events 200000

exit status: 0 every promise kept, 1 a promise missed or a result wrong, 2 usage
"""


@dataclass(frozen=True, slots=True)
class Aged:
    """A backlog read into tables that hold so many days, `windows` rows before it."""

    days: int
    windows: int
    load: LoadResult


def among_days(site: Site, days: int, events: int, progress: Progress) -> Aged:
    """Lay out the days, then let a worker read events of other services."""
    topic = site.make_topic(f"days{days}")
    fill(site, topic, Recipe(events, time.time_ns() // 1000), progress)
    seeded = Seeded(SERVICES)
    with (
        site.database(f"days{days}") as database,
        contextlib.closing(site.connect(database)) as conn,
    ):
        Migrator(site.settings(database, topic)).up()
        with conn.cursor() as cur:
            cur.execute("SELECT analytics_archive_old_data()")
        make_shapes(conn, SERVICES)
        lay_out_windows(
            site, database, conn, seeded, progress, not_before_s=time.time() - days * DAY_S
        )
        with conn.cursor() as cur:
            cur.execute("VACUUM (ANALYZE)")
        before = {window: total_events(conn, window) for window in WINDOWS}
        load = run_load(site, database, topic, f"{database}-group", progress)
        verify_raw_rows(conn, site.ends(topic))
        verify_totals(conn, events, before)
    return Aged(days, seeded.windows, load)


def backlog(site: Site, events: int, progress: Progress) -> LoadResult:
    """A worker on an empty database reads so many events."""
    topic = site.make_topic(f"backlog{events}")
    fill(site, topic, Recipe(events, time.time_ns() // 1000), progress)
    with site.database(f"backlog{events}") as database:
        load = run_load(site, database, topic, f"{database}-group", progress)
        with contextlib.closing(site.connect(database)) as conn:
            verify_raw_rows(conn, site.ends(topic))
            verify_totals(conn, events)
    return load


def lines_of(aged: list[Aged], backlogs: list[LoadResult]) -> list[Line]:
    """The table."""
    lines = []
    for each in aged:
        what = f"{each.days} day(s), {each.windows:,} windows in the tables"
        lines += _of_load(what, each.load)
    for load in backlogs:
        lines += _of_load(f"backlog of {load.events:,}", load)
    return lines


def _of_load(what: str, load: LoadResult) -> list[Line]:
    cpu_us = 1e6 / load.events
    lines = [
        Line(what, [load.rate], "{:,.0f}/s"),
        Line("  CPU an event: worker", [load.worker_cpu_s * cpu_us], "{:.1f} us"),
    ]
    if load.session_cpu_s is not None:
        session = [load.session_cpu_s * cpu_us]
        lines.append(Line("  CPU an event: its database session", session, "{:.1f} us"))
        vacuum = [(load.vacuum_cpu_s or 0.0) * cpu_us]
        lines.append(Line("  CPU an event: vacuuming", vacuum, "{:.1f} us"))
    memory = [load.peak_memory_bytes / 1e6]
    lines.append(Line("  peak memory", memory, "{:.0f} MB", Promise("most", MEMORY_MB)))
    return lines


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = parser_of("bench.growth", __doc__, EXAMPLES, RESULTS)
    parser.add_argument("--days", type=int, nargs="*", default=DAYS, help="in the tables (1 7 30)")
    parser.add_argument(
        "--backlog", type=int, nargs="*", default=BACKLOGS, help="events (1e5, 1e6, 1e7)"
    )
    parser.add_argument("--events", type=int, default=600_000, help="read among days (%(default)s)")
    return parser.parse_args(arguments)


def measure(
    options: argparse.Namespace, site: Site, progress: Progress
) -> tuple[dict[str, Any], list[Line]]:
    """What goes into the results file, and its table."""
    aged = [among_days(site, days, options.events, progress) for days in options.days]
    backlogs = [backlog(site, events, progress) for events in options.backlog]
    content = {
        "services": SERVICES,
        "days": [asdict(each) for each in aged],
        "backlogs": [asdict(each) for each in backlogs],
    }
    return content, lines_of(aged, backlogs)


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parse(arguments)
    return run_measurement("growth", options.output, partial(measure, options))


if __name__ == "__main__":
    raise SystemExit(main())
