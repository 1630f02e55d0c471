"""`python -m bench.bloat`: what rewriting live window rows for an hour does to the size of their tables.

One worker and a steady stream; each window's table is then weighed, indexes and out-of-line values included, beside a
fresh copy of its rows with the same indexes. A file of a table hardly ever shrinks by itself; what it was on the way
is in the results.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection

from analytics_service.domain.windows import WINDOWS, Window
from bench.figures import Line, Promise
from bench.live import SECONDS_TO_CATCH_UP, paced_producer
from bench.memory import wait_stored
from bench.paced_producer import READY
from bench.progress import Progress
from bench.running import parser_of, run_measurement
from bench.site import ROOT, SECONDS_TO_BEGIN, SESSION_BEGAN, Site
from bench.verify import verify_raw_rows, verify_totals

RESULTS = ROOT / "bench" / "results" / "bloat.json"
LOOK_S = 15.0
MOST = 3.0
EXAMPLES = """\
examples:
  python -m bench.bloat                            an hour
  python -m bench.bloat --minutes 5 --services 200 --rate 2000

exit status: 0 no table above its limit, 1 one is or a result is wrong, 2 usage
"""
_SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits
    WHERE inhparent = %s::regclass
"""


@dataclass(frozen=True, slots=True)
class Look:
    """Sizes in bytes, so many seconds after the beginning; in the order of the windows."""

    after_s: float
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weighed:
    """A table at the end: its rows, its bytes, and those of a fresh copy."""

    window: str
    rows: int
    size: int
    fresh: int

    @property
    def bloat(self) -> float:
        """How many times the fresh copy."""
        return self.size / self.fresh


def rewrite(
    site: Site, rate: int, seconds: float, services: int, progress: Progress
) -> tuple[list[Look], list[Weighed]]:
    """Let a worker rewrite rows for so long, looking at the sizes; then weigh."""
    topic = site.make_topic("bloat")
    looks: list[Look] = []
    with site.database("bloat") as database, closing(site.connect(database)) as conn:
        with site.worker(database, topic, topic) as worker:
            worker.wait_for(SESSION_BEGAN, SECONDS_TO_BEGIN)
            with paced_producer(site, topic, rate, seconds, services) as producer:
                producer.wait_for(READY, SECONDS_TO_BEGIN + seconds)
                began = time.monotonic()
                while (left := began + seconds - time.monotonic()) > 0:
                    worker.check()
                    looks.append(Look(seconds - left, _sizes(conn)))
                    megabytes = ", ".join(f"{size / 1e6:.1f}" for size in looks[-1].sizes)
                    progress.tick(f"{seconds - left:,.0f} of {seconds:,.0f} s: {megabytes} MB")
                    time.sleep(min(LOOK_S, left))
                status = producer.finish(SECONDS_TO_CATCH_UP)
            if status != 0:
                raise producer.trouble(f"ended with exit status {status}")
            ends = site.ends(topic)
            wait_stored(conn, worker, sum(ends.values()), progress)
            sizes = _sizes(conn)
        weighed = [_weigh(conn, *each) for each in zip(WINDOWS, sizes, strict=True)]
        verify_raw_rows(conn, ends)
        verify_totals(conn, sum(ends.values()))
    return looks, weighed


def _sizes(conn: connection) -> tuple[int, ...]:
    """Bytes of the chunks of each window's table."""
    sizes = []
    with conn.cursor() as cur:
        for window in WINDOWS:
            cur.execute(_SIZE, (window.table,))
            ((size,),) = cur.fetchall()
            sizes.append(int(size))
    return tuple(sizes)


def _weigh(conn: connection, window: Window, size: int) -> Weighed:
    """Beside a copy made now, which is as full as the table is meant to be."""
    names = {"table": sql.Identifier(window.table), "copy": sql.Identifier(f"fresh_{window.table}")}
    with conn.cursor() as cur:
        cur.execute(
            sql.SQL(
                "CREATE TABLE {copy} (LIKE {table} INCLUDING ALL) WITH (fillfactor = 50)"
            ).format(**names)
        )
        cur.execute(
            sql.SQL("INSERT INTO {copy} SELECT * FROM {table} ORDER BY timestamp").format(**names)
        )
        rows = cur.rowcount
        cur.execute("SELECT pg_total_relation_size(%s::regclass)", (f"fresh_{window.table}",))
        ((fresh,),) = cur.fetchall()
    return Weighed(window.name, rows, size, int(fresh))


def lines_of(weighed: list[Weighed]) -> list[Line]:
    """The table."""
    lines = []
    for each in weighed:
        what = f"{each.window}: {each.rows:,} rows, {each.size / 1e6:.1f} MB; a fresh copy"
        lines.append(Line(what, [each.fresh / 1e6], "{:.1f} MB"))
        lines.append(Line("  times the fresh copy", [each.bloat], "{:.2f}", Promise("most", MOST)))
    return lines


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = parser_of("bench.bloat", __doc__, EXAMPLES, RESULTS)
    parser.add_argument("--minutes", type=float, default=60.0, help="(%(default)g)")
    parser.add_argument("--rate", type=int, default=1_000, help="events/s (%(default)s)")
    parser.add_argument("--services", type=int, default=20, help="(%(default)s)")
    return parser.parse_args(arguments)


def measure(
    options: argparse.Namespace, site: Site, progress: Progress
) -> tuple[dict[str, Any], list[Line]]:
    """What goes into the results file, and its table."""
    seconds = 60 * options.minutes
    looks, weighed = rewrite(site, options.rate, seconds, options.services, progress)
    content = {
        "plan": {"seconds": seconds, "rate": options.rate, "services": options.services},
        "looks": [asdict(look) for look in looks],
        "weighed": [asdict(each) for each in weighed],
    }
    return content, lines_of(weighed)


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parse(arguments)
    return run_measurement("bloat", options.output, partial(measure, options))


if __name__ == "__main__":
    raise SystemExit(main())
