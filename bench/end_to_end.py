"""End to end: the worker beside a bare COPY and beside Faust's own Tables, its memory, and how soon events are visible.

Each round measures all of it on the same stack, in another order; the figures are medians of the rounds, the ratios
medians of the ratios within a round.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.events import Recipe
from bench.faust_peer import run_faust
from bench.figures import Line, Promise, table
from bench.live import LiveResult, run_live
from bench.load import LoadResult, dump_raw_rows, fill, run_bare_copy, run_load
from bench.progress import Progress
from bench.site import Site
from bench.truth import WINDOWS, Figures, Key, brute_force
from bench.verify import verify_raw_rows, verify_totals, verify_windows

ROWS_FILE = "raw_rows.copy"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    events: int = 1_000_000
    faust_events: int = 100_000
    rounds: int = 3
    rate: int = 10_000
    live_seconds: float = 25.0


@dataclass(slots=True)
class Round:
    """What one round gave."""

    order: tuple[str, ...]
    load_at_start: float
    load: LoadResult | None = None
    live: LiveResult | None = None
    copy_rate: float = 0.0
    faust_rate: float = 0.0


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
            result.copy_rate = run_bare_copy(self.site, database, self.plan.events, file)
        self.progress.say(f"{result.copy_rate:,.0f} rows/s")

    def _faust(self, result: Round, number: int) -> None:
        self.progress.say(
            f"Faust with three Tables, {self.plan.faust_events:,} events (a minute or two)"
        )
        result.faust_rate = run_faust(
            self.site,
            self._topics["faust"],
            self.plan.faust_events,
            self.site.topic(f"faust{number}"),
        )
        self.progress.say(f"{result.faust_rate:,.0f} events/s")

    def _live(self, result: Round, number: int) -> None:
        plan = self.plan
        self.progress.say(f"{plan.rate:,} events/s for {plan.live_seconds:g} s")
        topic = self.site.make_topic(f"live{number}")
        with self.site.database(f"live{number}") as database:
            result.live = run_live(
                self.site, database, topic, plan.rate, plan.live_seconds, self.progress
            )
        self.progress.say(
            f"visible after {result.live.p50_s:.3f} s (p50), {result.live.p99_s:.3f} s (p99)"
        )


def lines_of(rounds: list[Round]) -> list[Line]:
    """The table: figures and promises."""
    loads = [each.load for each in rounds if each.load is not None]
    lives = [each.live for each in rounds if each.live is not None]
    of_copy = tuple(a.rate / b.copy_rate for a, b in zip(loads, rounds, strict=True))
    of_faust = tuple(a.rate / b.faust_rate for a, b in zip(loads, rounds, strict=True))
    memory = tuple(
        max(a.peak_memory_bytes, b.peak_memory_bytes) / 1e6
        for a, b in zip(loads, lives, strict=True)
    )
    number, rate = "{:,.0f}", "{:,.0f}/s"
    return [
        Line("events end to end: raw rows, 3 windows, offsets", tuple(x.rate for x in loads), rate),
        Line("  start of the process included",
             tuple(x.events / x.seconds_from_start for x in loads), rate),
        Line("bare COPY of the same raw rows", tuple(x.copy_rate for x in rounds), rate),
        Line("Faust, three windowed Tables", tuple(x.faust_rate for x in rounds), rate),
        Line("end to end, of the bare COPY", of_copy, "{:.3f}", Promise("least", 0.25)),
        Line("end to end, times Faust", of_faust, "{:.1f}", Promise("least", 50)),
        Line("memory of the worker, peak, MB", memory, number, Promise("below", 300), worst=True),
        Line("visible in all tables after, p50, s", tuple(x.p50_s for x in lives), "{:.3f}",
             Promise("most", 0.5)),
        Line("visible in all tables after, p99, s", tuple(x.p99_s for x in lives), "{:.3f}",
             Promise("most", 1.0)),
        Line("  the slowest event, s", tuple(x.worst_s for x in lives), "{:.3f}"),
        Line("CPU of the worker, us an event, backlog",
             tuple(1e6 * x.cpu_seconds / x.events for x in loads), "{:.1f}"),
        Line("WAL, bytes an event, backlog", tuple(x.wal_bytes / x.events for x in loads), number),
    ]  # fmt: skip


def report(plan: Plan, surroundings: Mapping[str, Any], rounds: list[Round], file: Path) -> bool:
    """Print the table and write the results; whether every promise is kept."""
    lines = lines_of(rounds)
    kept = all(line.kept for line in lines)
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "bench": "end_to_end",
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "plan": asdict(plan),
        **surroundings,
        "rounds": [asdict(each) for each in rounds],
        "lines": [line.as_json() for line in lines],
        "kept": kept,
    }
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(table(lines))
    return kept
