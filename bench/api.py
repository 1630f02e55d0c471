"""`python -m bench.api`: how fast every GET of the API answers over 30 days of 200 services.

20 clients with keep-alive and a password, each request measured by itself: paced, every client asking once in two
seconds as an open page does (10 requests a second in all), and saturated, every client asking again at once. The
promise is about the paced ones; with 20 saturating clients an answer takes 20 / throughput on average, which on a
machine shared with the database and the clients says how much it can carry, not how long anybody waits.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from psycopg2 import sql
from psycopg2.errors import DuplicateDatabase

from bench.api_cases import cases
from bench.api_measure import Measured, Measuring, Plan, running_api
from bench.api_report import report
from bench.api_seed import Seeded, seed
from bench.api_writer import writing
from bench.progress import Progress
from bench.running import measuring_site, parser_of, run_bench
from bench.site import ROOT, Site

QUICK = Plan(rounds=1, paced_s=6.0, saturated_s=1.0, alone_s=2.0)
QUICK_SERVICES = 50
TOPIC = "bench-api"
RESULTS = ROOT / "bench" / "results" / "api.json"
EXAMPLES = """\
examples:
  python -m bench.api                     seeds some 4 million windows, then measures: about 30 minutes
  python -m bench.api --quick             a quarter of the services, shorter
  python -m bench.api --only /overview    only requests that begin so
  set -a; . ./.stack.env; set +a          (of `make stack`) with servers that stay up
  python -m bench.api --database kept     seed it once, keep it, and bring it up to now the next time

exit status: 0 every promise kept, 1 a promise missed or no result, 2 usage
"""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = parser_of("bench.api", __doc__, EXAMPLES, RESULTS)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SERVICES} services, shorter")
    parser.add_argument("--services", type=int, help="services (200)")
    parser.add_argument(
        "--only", action="append", help="only requests that begin so; may come again"
    )
    parser.add_argument("--database", help="a database to seed and keep, or one that was kept")
    options = parser.parse_args(arguments)
    options.services = options.services or (QUICK_SERVICES if options.quick else 200)
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parse(arguments)
    progress = Progress()

    def measure() -> bool:
        with measuring_site() as (site, surroundings):
            with _database(site, options.database) as database:
                seeded, measured = _run(site, database, options, progress)
            return report(seeded, measured, surroundings, options.output)

    return run_bench(measure, options.output, progress)


def _run(
    site: Site, database: str, options: argparse.Namespace, progress: Progress
) -> tuple[Seeded, list[Measured]]:
    seeded = seed(site, database, TOPIC, options.services, progress)
    with contextlib.closing(site.connect(database)) as conn:
        begins = tuple(options.only or ["/"])
        wanted = [case for case in cases(conn) if case.path.startswith(begins)]
    plan = QUICK if options.quick else Plan()
    with (
        running_api(site, database, TOPIC) as (api, target),
        writing(site.connection_parameters(database), TOPIC, options.services),
    ):
        return seeded, Measuring(site, api, target, plan).all(wanted, progress)


@contextlib.contextmanager
def _database(site: Site, kept: str | None) -> Iterator[str]:
    if kept is None:
        with site.database("api") as database:
            yield database
        return
    with contextlib.suppress(DuplicateDatabase):
        site.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(kept)))
    yield kept


if __name__ == "__main__":
    raise SystemExit(main())
