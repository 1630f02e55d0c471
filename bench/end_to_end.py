"""End to end: the worker beside a bare COPY and beside Faust's own Tables, its memory, and how soon events are visible.

Each round measures all of it on the same stack, in another order; the figures are medians of the rounds, the ratios
medians of the ratios within a round.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.bare_copy import dump_raw_rows, run_bare_copy
from bench.errors import NotProduced
from bench.events import Recipe
from bench.faust_peer import run_faust
from bench.live import run_live
from bench.load import fill, run_load
from bench.progress import Progress
from bench.report import Plan, Round
from bench.site import Site
from bench.truth import WINDOWS, Figures, Key, brute_force
from bench.verify import verify_raw_rows, verify_totals, verify_windows

ROWS_FILE = "raw_rows.copy"
LIVE_ATTEMPTS = 3


@dataclass(slots=True)
class EndToEnd:
    """The bench as a whole; `run` gives the rounds."""

    site: Site
    plan: Plan
    progress: Progress
    _topics: dict[str, str] = field(default_factory=dict)
    _truth: Mapping[str, Mapping[Key, Figures]] = field(default_factory=dict)

    def run(self) -> list[Round]:
        """Fill the topics once, then measure round by round."""
        self._prepare()
        return [self._round(number) for number in range(self.plan.rounds)]

    def _prepare(self) -> None:
        plan, say = self.plan, self.progress.say
        recipe = Recipe(plan.events, time.time_ns() // 1000)
        say(f"sending {plan.events:,} events of 20 services in 6 partitions to Kafka")
        self._topics["load"] = self.site.make_topic("load")
        events = fill(self.site, self._topics["load"], recipe, self.progress)
        say(f"sending the first {plan.faust_events:,} of them to the topic of the Faust app")
        self._topics["faust"] = self.site.make_topic("faust")
        fill(self.site, self._topics["faust"], recipe, self.progress, plan.faust_events)
        say("computing every window by brute force")
        self._truth = {name: brute_force(events, seconds) for name, seconds in WINDOWS.items()}

    def _round(self, number: int) -> Round:
        parts: list[tuple[str, Callable[[Round, int], None]]] = [
            ("worker", self._load),
            ("copy", self._copy),
            ("faust", self._faust),
            ("live", self._live),
        ]
        # The first round begins with the worker, whose rows the bare COPY repeats.
        parts = parts[number % 4 :] + parts[: number % 4]
        result = Round(tuple(name for name, _ in parts), os.getloadavg()[0])
        for _, measure in parts:
            self.progress.prefix = f"round {number + 1}/{self.plan.rounds}: "
            measure(result, number)
        self.progress.prefix = ""
        return result

    def _load(self, result: Round, number: int) -> None:
        say, topic = self.progress.say, self._topics["load"]
        say("the worker reads what is in Kafka")
        with self.site.database(f"load{number}") as database:
            result.load = run_load(self.site, database, topic, f"{database}-group", self.progress)
            say(f"{result.load.rate:,.0f} events/s; checking every window")
            conn = self.site.connect(database)
            verify_raw_rows(conn, self.site.ends(topic))
            verify_totals(conn, self.plan.events)
            rows = verify_windows(conn, self._truth)
            conn.close()
            say(f"each event once, {rows:,} window rows as by brute force")
            file = self.site.directory / ROWS_FILE
            if not file.exists():
                say("writing the raw rows to a file for the bare COPY")
                dump_raw_rows(self.site, database, file)

    def _copy(self, result: Round, number: int) -> None:
        self.progress.say("bare COPY of the same raw rows")
        with self.site.database(f"copy{number}") as database:
            file = self.site.directory / ROWS_FILE
            result.copy = run_bare_copy(self.site, database, self.plan.events, file)
        self.progress.say(f"{result.copy.rate:,.0f} rows/s")

    def _faust(self, result: Round, number: int) -> None:
        self.progress.say(
            f"Faust with three Tables, {self.plan.faust_events:,} events (a minute or two)"
        )
        result.faust_rate = run_faust(
            self.site,
            self._topics["faust"],
            self.plan.faust_events,
            self.site.topic(f"faust{number}"),
            self.progress,
        ).rate
        self.progress.say(f"{result.faust_rate:,.0f} events/s")

    def _live(self, result: Round, number: int) -> None:
        plan, say = self.plan, self.progress.say
        for attempt in range(1, LIVE_ATTEMPTS + 1):
            say(f"{plan.rate:,} events/s for {plan.live_seconds:g} s")
            name = f"live{number}-{attempt}"
            topic = self.site.make_topic(name)
            try:
                with self.site.database(name) as database:
                    result.live = run_live(
                        self.site, database, topic, plan.rate, plan.live_seconds, self.progress
                    )
            except NotProduced as error:
                if attempt == LIVE_ATTEMPTS:
                    raise
                say(f"{error}: the machine is too busy, once more")
            else:
                say(
                    f"visible after {result.live.p50_s:.3f} s (p50), {result.live.p99_s:.3f} s (p99)"
                )
                return
