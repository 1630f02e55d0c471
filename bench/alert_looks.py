"""One look of the evaluator over 1,000 services and 20 rules on a real database: quiet, open, and when all change.

The windows are laid into the table beforehand, a row of each minute for each service; which of them violate a rule is
a matter of its threshold, so that one UPDATE of the rules makes all alerts change in the same look. A look is timed as
the worker's own metric does it: from the lock of the lease to the commit, and the log lines after it.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from psycopg2.extensions import connection

from analytics_service.adapters.kafka.topics import create_topics
from analytics_service.adapters.timescale.leases import Lease, take
from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.alerting.evaluator import Looked, evaluate
from analytics_service.alerting.outbox_relay import OutboxRelay
from analytics_service.domain.rules import METRICS
from analytics_service.domain.windows import window_named
from analytics_service.entrypoints.cli.analytics import GC_THRESHOLDS, SWITCH_INTERVAL_S
from analytics_service.logs import TextFormatter
from bench.errors import WrongResult
from bench.progress import Progress
from bench.site import Site

STEADY_LOOKS = 10
LEASE_S = 3600.0
VALUE = 50.0
NEVER, ALWAYS = 1000.0, 1.0
AN_HOUR_S = 3600
RULES = """
INSERT INTO analytics_alert_rules (rule_name, metric_name, operator, threshold, severity, keep_firing_seconds)
SELECT 'rule ' || n, (%(metrics)s::text[])[1 + n %% cardinality(%(metrics)s::text[])], '>', %(never)s, 'warning', 0
FROM generate_series(1, %(rules)s) AS n
"""
# Enough minutes ahead that rows are there for whatever minute a look falls into.
WINDOWS = """
INSERT INTO analytics_metrics_1min ({columns}, timestamp, service)
SELECT {values}, date_trunc('minute', now()) + minute * interval '1 minute', 'service-' || n
FROM generate_series(-3, 30) AS minute, generate_series(1, %s) AS n
"""
OFFSETS = """
INSERT INTO topic_incarnations (topic, topic_incarnation, topic_id) VALUES (%(topic)s, 1, 'bench');
INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset) VALUES (%(topic)s, 1, 0, 0)
"""


@dataclass(slots=True)
class LooksResult:
    """Seconds of each look, by what happened in it; and of the relay, until all messages were on the topic.

    `cpu_seconds`: of this process and, where the database is the stack's own, of the server process beside it.
    """

    services: int
    rules: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu_seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, seconds: float, cpu_seconds: float) -> None:
        """One more look."""
        self.seconds.setdefault(what, []).append(seconds)
        self.cpu_seconds.setdefault(what, []).append(cpu_seconds)


QUIET, PENDING, FIRE, OPEN = "quiet", "all become pending", "all fire at once", "all open"
WAITED, RESOLVE = "all fire after their duration", "all resolve"
PUBLISH = "to publish what fired at once"
LOOKS = (QUIET, PENDING, WAITED, FIRE, OPEN, RESOLVE)


def run_looks(
    site: Site, services: int, rules: int, rounds: int, progress: Progress
) -> LooksResult:
    """Lay out windows and rules in a database of its own, and look."""
    _settings_of_a_worker()
    topic = site.topic("looks")
    with site.database("looks") as database:
        settings = site.settings(database, topic)
        create_topics(settings)
        Migrator(settings).up()
        with contextlib.closing(site.connect(database)) as conn, _lines_written():
            _prepare(conn, topic, services, rules)
            relay = OutboxRelay(settings)
            bench = _Bench(site, conn, topic, LooksResult(services, rules), relay)
            for number in range(rounds):
                progress.say(f"looks at {services:,} services x {rules} rules, round {number + 1}")
                bench.round(progress)
            relay.close()
    return bench.result


@dataclass(slots=True)
class _Bench:
    """The evaluator on its connection, and what it took so far."""

    site: Site
    conn: connection
    topic: str
    result: LooksResult
    relay: OutboxRelay
    _lease: Lease | None = None

    def round(self, progress: Progress) -> None:
        """Every kind of look once, the steady ones several times; begins and ends with nothing open."""
        every = self.result.services * self.result.rules
        self._rules(NEVER, 0)
        for _ in range(STEADY_LOOKS):
            self._look(QUIET)
        self._rules(ALWAYS, AN_HOUR_S)
        self._look(PENDING, pending=every)
        self._rules(ALWAYS, 0)
        self._look(WAITED, pending=every, active=every)
        self._rules(NEVER, 0)
        self._look(RESOLVE, resolved=every)
        self._publish(3 * every)
        self._rules(ALWAYS, 0)
        self._look(FIRE, active=every)
        self._publish(every, PUBLISH)
        for _ in range(STEADY_LOOKS):
            self._look(OPEN)
        self._rules(NEVER, 0)
        self._look(RESOLVE, resolved=every)
        self._publish(every)
        progress.tick("a round is over")

    def _look(self, what: str, **reached: int) -> None:
        with self.conn.cursor() as cur:  # as a worker does that reads everything at once
            cur.execute("UPDATE kafka_offsets SET caught_up_at = clock_timestamp()")
        lease = self._hold()
        with self._timed(what):
            looked = evaluate(self.conn, lease, self.topic, [window_named("1min")])
        _check(what, looked, reached)

    def _publish(self, messages: int, what: str = "to publish other messages") -> None:
        lease = self._hold()
        published = 0
        with self._timed(what):
            while step := self.relay.step(self.conn, lease):
                published += step
        if published != messages:
            raise WrongResult(f"{published:,} messages were published, {messages:,} were due")

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        """Note what the block takes; it has the connection for transactions of its own."""
        self.conn.autocommit = False
        cpu, began = self._cpu_s(), time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        self.conn.autocommit = True
        self.result.add(what, seconds, self._cpu_s() - cpu)

    def _cpu_s(self) -> float:
        session = self.site.database_cpu_seconds(self.conn.get_backend_pid())
        return time.process_time() + (session or 0.0)

    def _rules(self, threshold: float, duration_s: int) -> None:
        with self.conn.cursor() as cur:
            cur.execute(
                "UPDATE analytics_alert_rules SET threshold = %s, duration_seconds = %s",
                (threshold, duration_s),
            )

    def _hold(self) -> Lease:
        if self._lease is None:
            self._lease = take(self.conn, "alert-evaluator", "bench", LEASE_S)
        if self._lease is None:
            raise WrongResult("somebody else evaluates the rules of the bench's own database")
        return self._lease


def _prepare(conn: connection, topic: str, services: int, rules: int) -> None:
    # The names come from this module and the product's own list.
    windows = WINDOWS.format(columns=", ".join(METRICS), values=", ".join(["50"] * len(METRICS)))
    with conn.cursor() as cur:
        cur.execute(RULES, {"metrics": list(METRICS), "never": NEVER, "rules": rules})
        cur.execute(windows, (services,))
        cur.execute(OFFSETS, {"topic": topic})
        cur.execute("ANALYZE")


def _settings_of_a_worker() -> None:
    """What `stacklens analytics` does to its own process."""
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def _check(what: str, looked: Looked, reached: dict[str, int]) -> None:
    """A look that did not see or do what it should has no figure."""
    if looked.behind or (dict(looked.reached) != reached and what != PENDING):
        raise WrongResult(f"a look ({what}): {looked}, expected {reached}")


@contextlib.contextmanager
def _lines_written() -> Iterator[None]:
    """The evaluator's log lines are part of a look: they are formatted and written, to nowhere."""
    logger = logging.getLogger("analytics_service")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        handler = logging.StreamHandler(nowhere)
        handler.setFormatter(TextFormatter())
        before, logger.propagate = (logger.level, logger.propagate), False
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.level, logger.propagate = before
