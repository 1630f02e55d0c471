"""`python -m bench.peers_run`: the same job by other stream processors, on the same topic, Kafka and TimescaleDB.

Kafka Streams, Bytewax, Quix Streams and Faust count the same events into the same three windows, each as someone who
knows the tool would do it; all but Faust also in a second variant that stores raw rows and window rows in the product's
own tables. They are installed at the first use, in an environment of their own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analytics_service.adapters.kafka.topics import open_admin
from bench.__main__ import positive_number
from bench.events import Columns, Recipe
from bench.load import fill, run_load
from bench.peer_cases import PEERS, Peer, PeerPass
from bench.peer_report import PeersPlan, PeersRound, case_name, report
from bench.peer_setup import PEERS as PEERS_DIRECTORY
from bench.peer_setup import kafka_streams_command, peers_python, peers_versions
from bench.peer_verify import PeerKey, PeerRow, expected_windows
from bench.progress import Progress
from bench.running import FAILURES, measuring_site, run_bench
from bench.site import ROOT, Site
from bench.truth import WINDOWS, Figures, Key, brute_force
from bench.verify import verify_raw_rows, verify_totals, verify_windows

EXAMPLES = """\
examples:
  python -m bench.peers_run             three rounds of a million events: about 15 minutes
  python -m bench.peers_run --quick     one round of 100,000
  python -m bench.peers_run --only kafka-streams --events 2000000

exit status: 0 every promise kept, 1 a promise missed or a result wrong, 2 usage
"""
RESULTS = ROOT / "bench" / "results" / "peers.json"
# Between rounds the order moves on by this many, so that neighbours change too.
STEP = 3
QUIET_LOAD = 1.5


def parse(arguments: list[str] | None) -> tuple[PeersPlan, argparse.Namespace]:
    """The plan, and where results go."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers_run",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual = PeersPlan()
    parser.add_argument("--quick", action="store_true", help="one round of 100,000 events")
    parser.add_argument(
        "--events", type=positive_number, help=f"events in Kafka ({usual.events:,})"
    )
    parser.add_argument("--rounds", type=positive_number, help=f"rounds ({usual.rounds})")
    parser.add_argument(
        "--only", action="append", default=[], choices=[peer.name for peer in PEERS], help="a peer"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file (%(default)s)")
    parser.add_argument("--chart", type=Path, help="draw the figures into this PNG as well")
    options = parser.parse_args(arguments)
    events = options.events or (100_000 if options.quick else usual.events)
    rounds = options.rounds or (1 if options.quick else usual.rounds)
    return PeersPlan(events, rounds, tuple(options.only)), options


@dataclass(slots=True)
class Beside:
    """The rounds as a whole."""

    site: Site
    plan: PeersPlan
    progress: Progress
    _topics: dict[int, str] = field(default_factory=dict)
    _expected: dict[int, Mapping[PeerKey, PeerRow]] = field(default_factory=dict)
    _truth: Mapping[str, Mapping[Key, Figures]] = field(default_factory=dict)

    def run(self) -> list[PeersRound]:
        """Fill a topic for each number of events, then measure round by round."""
        recipe = Recipe(self.plan.events, time.time_ns() // 1000)
        wanted = {self.plan.events, *(peer.events(self.plan.events) for peer in self.plan.peers)}
        for count in sorted(wanted):
            self.progress.say(f"sending {count:,} events of 20 services in 6 partitions to Kafka")
            self._topics[count] = self.site.make_topic(f"events{count}")
            events = fill(self.site, self._topics[count], recipe, self.progress, count)
            self._expect(count, events)
        return [self._round(number) for number in range(self.plan.rounds)]

    def _expect(self, count: int, events: Columns) -> None:
        self.progress.say("computing every window by brute force")
        self._expected[count] = expected_windows(events)
        if count == self.plan.events:
            self._truth = {name: brute_force(events, seconds) for name, seconds in WINDOWS.items()}

    def _round(self, number: int) -> PeersRound:
        cases: list[tuple[str, Callable[[PeersRound, int], None]]] = [("product", self._product)]
        for peer in self.plan.peers:
            for store in peer.variants:
                cases.append((case_name(peer, store), self._case(peer, store)))
        first = number * STEP % len(cases)
        cases = cases[first:] + cases[:first]
        result = PeersRound([name for name, _ in cases], os.getloadavg()[0])
        for name, measure in cases:
            self.progress.prefix = f"round {number + 1}/{self.plan.rounds}, {name}: "
            measure(result, number)
        self.progress.prefix = ""
        return result

    def _product(self, result: PeersRound, number: int) -> None:
        topic, say = self._topics[self.plan.events], self.progress.say
        say("the worker reads what is in Kafka")
        with self.site.database(f"product{number}") as database:
            result.product = run_load(
                self.site, database, topic, f"{database}-group", self.progress
            )
            conn = self.site.connect(database)
            verify_raw_rows(conn, self.site.ends(topic))
            verify_totals(conn, self.plan.events)
            rows = verify_windows(conn, self._truth)
            conn.close()
        say(f"{result.product.rate:,.0f} events/s; each event once, {rows:,} windows right")

    def _case(self, peer: Peer, store: bool) -> Callable[[PeersRound, int], None]:
        count = peer.events(self.plan.events)
        name = case_name(peer, store)

        def measure(result: PeersRound, number: int) -> None:
            self.progress.say(f"{count:,} events; {peer.settings}")
            one = PeerPass(
                self.site, self._topics[count], count, self._expected[count], self.progress
            )
            found = one.run(peer, store, f"{name}-{number}")
            self._remove_topics_of(f"{name}-{number}")
            once = "each event once, " if store else ""
            self.progress.say(f"{found.rate:,.0f} events/s; {once}{found.windows:,} windows right")
            result.passes[name] = found

        return measure

    def _remove_topics_of(self, name: str) -> None:
        """Changelogs and repartition topics, whatever a tool calls them: they are not read again."""
        with open_admin(
            self.site.settings(self.site.stack.db_name, self._topics[self.plan.events])
        ) as admin:
            mine = [
                str(topic["name"])
                for topic in admin.describe_topics()
                if self.site.topic(name) in str(topic["name"])
            ]
            if mine:
                admin.delete_topics(mine)


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    plan, options = parse(arguments)
    progress = Progress()

    def measure() -> bool:
        # Before anything runs: a download beside a measured pass would spoil it.
        python = peers_python(progress)
        kafka_streams_command(progress)
        with measuring_site() as (site, surroundings):
            surroundings["versions"].update(peers_versions(python))
            if os.getloadavg()[0] > QUIET_LOAD:
                progress.say("others are at work on this machine: the figures will say little")
            rounds = Beside(site, plan, progress).run()
            kept = report(plan, surroundings, rounds, options.output)
        if options.chart is not None:
            drawing = [str(PEERS_DIRECTORY / "chart.py"), str(options.output), str(options.chart)]
            subprocess.run([python, *drawing], check=True)
        return kept

    return run_bench(measure, options.output, progress, (*FAILURES, subprocess.CalledProcessError))


if __name__ == "__main__":
    raise SystemExit(main())
