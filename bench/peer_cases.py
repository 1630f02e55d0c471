"""The peers, each in its variants, and one measured pass of any of them.

A pass begins at the peer's first event. It ends, without a database, when the peer has counted every event in all three
window sizes; with one, when the window rows add up to all events and every raw row is there. Nothing counts before its
rows have been compared with a brute-force pass.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg2 import sql
from psycopg2.extensions import connection

from analytics_service.adapters.timescale.migrations import Migrator
from bench.child import Child
from bench.faust_peer import run_faust
from bench.peer_setup import kafka_streams_command, peers_python
from bench.peer_verify import (
    PeerKey,
    PeerRow,
    stored_windows,
    verify_peer_windows,
    written_windows,
)
from bench.peers.common import BOUNDS_MS
from bench.proc import peak_memory_bytes
from bench.progress import Progress
from bench.site import Site
from bench.truth import WINDOWS
from bench.verify import verify_raw_rows, verify_totals

BEGAN: Final = "peer-began"
ENDED: Final = "peer-ended"
SECONDS_TO_BEGIN: Final = 120.0
LONGEST_S: Final = 1800.0
POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool; `share` of the events is what it gets, for slow ones would take hours over all of them.

    `promise`: how many times its events a second the product promises, with raw rows stored where the peer can; None
    where it promises nothing.
    """

    name: str
    title: str
    share: float
    promise: float | None
    variants: tuple[bool, ...]
    settings: str

    def events(self, all_events: int) -> int:
        """How many events it gets."""
        return max(min(all_events, LEAST_EVENTS), round(all_events * self.share))


LEAST_EVENTS: Final = 20_000
PEERS: Final = (
    Peer(
        "kafka-streams",
        "Kafka Streams",
        1.0,
        4,
        (False, True),
        "2 threads, in-memory stores with cache and changelog, commits every 0.5 s, lz4; rows by COPY and upserts",
    ),
    Peer(
        "bytewax",
        "Bytewax",
        0.5,
        5,
        (False, True),
        "1 worker, batches of 5,000, one stateful_batch for the three windows, recovery on; rows by COPY and upserts",
    ),
    Peer(
        "bytewax-operators",
        "Bytewax, its window operators",
        0.2,
        None,
        (False, True),
        "the same with three fold_window: no row before its window closes, here at the end of the topic",
    ),
    Peer(
        "quix",
        "Quix Streams",
        0.03,
        40,
        (False, True),
        "1 process, group_by, RocksDB with changelogs, a checkpoint a second; rows by COPY and upserts",
    ),
    Peer(
        "faust",
        "Faust, three windowed Tables",
        0.03,
        120,
        (False,),
        "1 worker, Tables in memory with changelogs; no percentiles, no database",
    ),
)


@dataclass(frozen=True, slots=True)
class PassResult:
    """One verified pass of one peer."""

    events: int
    seconds: float
    windows: int
    load_at_start: float
    peak_memory_bytes: int | None = None

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


@dataclass(frozen=True, slots=True)
class PeerPass:
    """What one pass runs on. `run` gives its result. Raises BenchError when it fails or its rows are wrong."""

    site: Site
    topic: str
    events: int
    expected: Mapping[PeerKey, PeerRow]
    progress: Progress

    def run(self, peer: Peer, store: bool, name: str) -> PassResult:
        """`name` is this pass's own: of its database, group and files."""
        load = os.getloadavg()[0]
        if peer.name == "faust":
            return self._faust(name, load)
        if not store:
            return self._windows_only(peer, name, load)
        with self.site.database(name.replace("-", "_")) as database:
            return self._stored(peer, name, database, load)

    def _faust(self, name: str, load: float) -> PassResult:
        found = run_faust(self.site, self.topic, self.events, self.site.topic(name), self.progress)
        windows = verify_peer_windows(self.expected, found.rows)
        return PassResult(self.events, self.events / found.rate, windows, load)

    def _windows_only(self, peer: Peer, name: str, load: float) -> PassResult:
        result = self.site.directory / f"{name}.json"
        with self._child(peer, name, self.site.stack.db_name, result, store=False) as child:
            began = _time(child.wait_for(BEGAN, SECONDS_TO_BEGIN)[1])
            ended = _time(child.wait_for(ENDED, LONGEST_S, self._tick)[1])
        windows = verify_peer_windows(self.expected, written_windows(result))
        return PassResult(self.events, ended - began, windows, load)

    def _stored(self, peer: Peer, name: str, database: str, load: float) -> PassResult:
        Migrator(self.site.settings(database, self.topic)).up()
        self.site.checkpoint()
        conn = self.site.connect(database)
        with self._child(peer, name, database, Path(os.devnull), store=True) as child:
            began = _time(child.wait_for(BEGAN, SECONDS_TO_BEGIN)[1])
            ended, memory = self._wait_until_stored(conn, child)
        verify_raw_rows(conn, self.site.ends(self.topic))
        verify_totals(conn, self.events)
        windows = verify_peer_windows(self.expected, stored_windows(conn))
        conn.close()
        return PassResult(self.events, ended - began, windows, load, memory)

    def _wait_until_stored(self, conn: connection, child: Child) -> tuple[float, int | None]:
        """When everything was first seen in the tables (epoch), and the peer's peak memory by then."""
        deadline = time.monotonic() + LONGEST_S
        memory = None
        while time.monotonic() < deadline:
            running, now = child.running, time.time()
            least = min(_count(conn, _SUM.format(_table(window))) for window in WINDOWS)
            if least >= self.events and _count(conn, _ROWS) >= self.events:
                return now, memory
            if not running:  # Bytewax ends with the topic, but then everything is stored
                child.check()
            memory = _memory_of(child.pid) or memory
            self._tick(f"{least:,} of {self.events:,} events stored")
            time.sleep(POLL_S)
        raise child.trouble(f"did not store {self.events:,} events within {LONGEST_S:g} s")

    def _child(self, peer: Peer, name: str, database: str, result: Path, *, store: bool) -> Child:
        group = self.site.topic(name)  # begins with this run's mark: what it makes is found again
        environment = {
            **self.site.environment(database, self.topic, group),
            "PEER_EVENTS": str(self.events),
            "PEER_STORE": "1" if store else "0",
            "PEER_RESULT": str(result),
            "PEER_BOUNDS_MS": ",".join(map(str, BOUNDS_MS)),
        }
        command = COMMANDS[peer.name](self.site.directory / f"{name}-state", self.progress)
        return Child(peer.title, command, environment, self.site.directory, [BEGAN, ENDED])

    def _tick(self, said: str) -> None:
        self.progress.tick(said or "starting")


def _python_peer(module: str) -> Callable[[Path, Progress], list[str]]:
    def command(_state: Path, progress: Progress) -> list[str]:
        return [str(peers_python(progress)), "-m", f"bench.peers.{module}"]

    return command


def _kafka_streams(state: Path, progress: Progress) -> list[str]:
    return kafka_streams_command(progress, str(state))


COMMANDS: Final[Mapping[str, Callable[[Path, Progress], list[str]]]] = {
    "kafka-streams": _kafka_streams,
    "bytewax": _python_peer("bytewax_flow"),
    "bytewax-operators": _python_peer("bytewax_operators"),
    "quix": _python_peer("quix"),
}

_SUM: Final = sql.SQL("SELECT coalesce(sum(total_requests), 0)::bigint FROM {}")
_ROWS: Final = sql.SQL("SELECT count(*) FROM analytics_events")


def _table(window: str) -> sql.Identifier:
    return sql.Identifier(f"analytics_metrics_{window}")


def _count(conn: connection, statement: sql.Composable) -> int:
    with conn.cursor() as cur:
        cur.execute(statement)
        row = cur.fetchone()
    assert row is not None
    return int(row[0])


def _memory_of(pid: int) -> int | None:
    try:
        return peak_memory_bytes(pid)
    except (FileNotFoundError, ValueError):
        return None  # it has just ended


def _time(line: str) -> float:
    return float(line.rpartition(" ")[2])
