"""Workers that keep what they wrote last, beside others who write, delete, roll back: rows say what the events do."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale import window_store
from analytics_service.adapters.timescale.flush import prepare_connection
from analytics_service.adapters.timescale.kept_rows import FLUSHES, KeptRows
from analytics_service.adapters.timescale.window_rows import ConcurrentInsert, Row
from analytics_service.adapters.timescale.window_rows import put_lines as real_put_lines
from analytics_service.adapters.timescale.window_rows import row_lines as real_row_lines
from analytics_service.adapters.timescale.window_rows import write_rows as real_write_rows
from analytics_service.adapters.timescale.window_store import merge_cells, merge_windows
from analytics_service.domain.aggregation import Cell, Delta, roll_up
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.windows import WINDOWS, Window
from tests.databases import Database
from tests.reference.sketches import distinct

START_S = int(datetime(2026, 11, 20, 10, tzinfo=UTC).timestamp())
THRESHOLD = 0.8
SERVICES = ("a", "b")
NEVER = 10**9  # so many calm flushes that kept rows are never trusted
# What an event says, with when it was: service, second, latency in whole ms, user.
Told = tuple[str, int, int, str]
Merges = Sequence[tuple[Window, dict[Cell, Delta]]]
Merge = Callable[[Cursor, Merges, KeptRows], int]


def at_once(cursor: Cursor, merges: Merges, kept: KeptRows) -> int:
    """As a flush does, whose windows are not taken back one by one."""
    return sum(merge_cells(cursor, window, cells, kept) for window, cells in merges)


def ahead(cursor: Cursor, merges: Merges, kept: KeptRows) -> int:
    """As a flush of many rows does."""
    return merge_windows(cursor, merges, kept, many_rows=0)


def address_of(user: str) -> str:
    """Half as many addresses as users, and one that some have together."""
    if user.startswith("shared-"):
        return "10.9.9.9"
    number = int(user.rpartition("-")[2]) if "-" in user else ord(user)
    return f"10.0.{number // 512}.{number // 2 % 256}"


class Worker:
    """One that flushes, with rows of its own kept."""

    def __init__(
        self,
        connection: Connection,
        size_bytes: int = 10**6,
        calm: int = NEVER,
        merge: Merge = at_once,
    ) -> None:
        self.connection = connection
        self._merge = merge
        self.kept = KeptRows(size_bytes, calm=calm)
        self.refused = 0

    def flush(self, told: list[Told], *, commit: bool = True) -> None:
        """Merge events into the windows, and commit or roll back."""
        events = [
            Event(
                (START_S + s) * 1_000_000,
                service,
                "info",
                float(ms),
                user_id=user,
                source_ip=address_of(user),
            )
            for service, s, ms, user in told
        ]
        minutes = fold_events(events, THRESHOLD)
        try:
            with self.connection.cursor() as cursor:
                merges = [(window, roll_up(minutes, window)) for window in WINDOWS]
                self._merge(cursor, merges, self.kept)
        except ConcurrentInsert:
            self.kept.rolled_back()
            self.connection.rollback()
            self.refused += 1
            self.flush(told, commit=commit)
            return
        if commit:
            self.connection.commit()
            self.kept.committed()
        else:
            self.kept.rolled_back()
            self.connection.rollback()


@pytest.fixture
def connections(database: Database) -> Iterator[list[Connection]]:
    """Three, as flushes have them."""
    with contextlib.ExitStack() as closing:
        made = []
        for _ in range(3):
            connection = closing.enter_context(contextlib.closing(database.connect()))
            connection.autocommit = False
            prepare_connection(connection)
            made.append(connection)
        yield made


def some_events(dice: random.Random, users: int = 9) -> list[Told]:
    """Up to a dozen within two hours."""
    return [
        (
            dice.choice(SERVICES),
            dice.choice([0, 30, 90, 3_599, 3_600, 7_000]),
            dice.randrange(1, 500),
            f"user-{dice.randrange(users)}",
        )
        for _ in range(dice.randrange(1, 12))
    ]


def expected(told: list[Told], gone: dict[tuple[str, Cell], int]) -> dict[object, object]:
    """Figures of every window by brute force; of the events before a row was deleted it knows nothing."""
    found: dict[object, list[Told]] = defaultdict(list)
    for place, event in enumerate(told):
        for window in WINDOWS:
            start = (START_S + event[1]) // window.seconds * window.seconds
            if place >= gone.get((window.name, (event[0], start)), 0):
                found[window.name, event[0], start].append(event)
    return {
        key: (
            len(events),
            float(sum(event[2] for event in events)),
            float(min(event[2] for event in events)),
            float(max(event[2] for event in events)),
            len({event[3] for event in events}),
        )
        for key, events in found.items()
    }


def stored(database: Database) -> dict[object, object]:
    """The same figures as they are in the tables."""
    rows: dict[object, object] = {}
    for window in WINDOWS:
        for service, start, *figures, users, more_users, ips, more_ips in database.rows(
            f"""
            SELECT service, extract(epoch FROM timestamp)::bigint, total_requests, latency_sum_ms, latency_min_ms,
                latency_max_ms, unique_users, unique_ips, (SELECT sum(n) FROM unnest(latency_bucket_counts) AS n),
                users_sketch, users_recent, ips_sketch, ips_recent
            FROM {window.table}
            """  # noqa: S608
        ):
            assert figures.pop() == figures[0], "the histogram counts every event"
            counted = [distinct(users, more_users), distinct(ips, more_ips)]
            assert counted == figures[-2:], "the sketches count every one"
            figures.pop()
            rows[window.name, service, start] = tuple(figures)
    return rows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("size_bytes", "calm"), [(10**6, NEVER), (12_000, NEVER), (10**6, 0), (12_000, 2)]
)
@pytest.mark.parametrize("merge", [at_once, merge_windows, ahead])
def test_rows_say_what_the_events_do_whoever_writes(
    database: Database,
    connections: list[Connection],
    seed: int,
    size_bytes: int,
    calm: int,
    merge: Merge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window_store, "ROWS_AT_ONCE", 2)  # pieces of a flush of a dozen rows
    dice = random.Random(size_bytes + seed)
    workers = [
        Worker(connections[0], size_bytes, calm, merge),
        Worker(connections[1], size_bytes, calm, merge),
        Worker(connections[2], 0),
    ]
    told: list[Told] = []
    gone: dict[tuple[str, Cell], int] = {}
    done: Counter[str] = Counter()
    most = 0
    for _ in range(40):
        worker = dice.choice(workers)
        what = dice.choices(["flush", "roll back", "delete"], [8, 2, 1])[0]
        done[what] += 1
        if what == "flush":
            events = some_events(dice)
            worker.flush(events)
            told += events
        elif what == "roll back":
            worker.flush(some_events(dice), commit=False)
        else:
            window = dice.choice(WINDOWS)
            service = dice.choice(SERVICES)
            # As a rebuild does where there are no events any more.
            for (start,) in database.rows(
                f"DELETE FROM {window.table} WHERE service = %s"  # noqa: S608
                " RETURNING extract(epoch FROM timestamp)::bigint",
                service,
            ):
                gone[window.name, (service, start)] = len(told)
        assert stored(database) == expected(told, gone)
        most = max(most, workers[0].kept.size_bytes, workers[1].kept.size_bytes)
    assert done["flush"] > 10
    assert 0 < most <= size_bytes
    is_refused = merge is at_once and calm < NEVER
    assert (workers[0].refused + workers[1].refused > 0) == is_refused
    assert len(workers[2].kept) == 0


@pytest.mark.parametrize("seed", range(6))
def test_what_others_do_between_looking_and_writing_is_noticed(
    database: Database, connections: list[Connection], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker trusts its rows, or looks at them; before it writes a window, somebody else does something to it."""
    dice = random.Random(seed)
    worker, other = Worker(connections[0], calm=0, merge=ahead), Worker(connections[1], 0)
    told: list[Told] = []
    gone: dict[tuple[str, Cell], int] = {}
    done: Counter[str] = Counter()

    def put_lines(cursor: Cursor, window: Window, *arguments: Any) -> None:
        what = dice.choice(["nothing", "nothing", "delete", "delete", "write"])
        # Rows of the windows before are locked by now: who wants these would have to wait.
        if what == "write" and window is WINDOWS[0]:
            events = some_events(dice)
            other.flush(events)
            told.extend(events)
            done[what] += 1
        elif what == "delete":
            service = dice.choice(SERVICES)
            for (start,) in database.rows(
                f"DELETE FROM {window.table} WHERE service = %s"  # noqa: S608
                " RETURNING extract(epoch FROM timestamp)::bigint",
                service,
            ):
                gone[window.name, (service, start)] = len(told)
                done[what] += 1
        real_put_lines(cursor, window, *arguments)

    monkeypatch.setattr(window_store, "put_lines", put_lines)
    for turn in range(25):
        events = some_events(dice)
        if turn % 5 == 4:
            worker.kept.doubt()  # nothing is kept: everything is looked at
        worker.flush(events)
        told += events
        assert stored(database) == expected(told, gone)
    assert min(done["write"], done["delete"]) > 0


def test_a_fault_of_ours_ahead_comes_out_as_it_is_and_nothing_is_written(
    database: Database, connections: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_store, "ROWS_AT_ONCE", 1)
    worker = Worker(connections[0], calm=0, merge=ahead)
    told = [(service, 0, 5, "user-1") for service in "abcd"]
    worker.flush(told)
    before = stored(database)
    pieces = itertools.count()

    def row_lines(rows: Sequence[Row], now_us: int) -> memoryview:
        if next(pieces) == 6:  # the third of the second window
            raise ArithmeticError("ours")
        return real_row_lines(rows, now_us)

    with monkeypatch.context() as patched:
        patched.setattr(window_store, "row_lines", row_lines)
        with pytest.raises(ArithmeticError, match="ours"):
            worker.flush(told)
    worker.connection.rollback()
    worker.kept.rolled_back()
    assert stored(database) == before
    worker.flush(told)
    assert stored(database) == expected(told + told, {})


@pytest.mark.parametrize(("times", "refused"), [(1, 0), (4, 0), (5, 1)])
def test_a_row_that_somebody_else_makes_first_takes_back_its_window_alone(
    connections: list[Connection],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
    refused: int,
) -> None:
    worker, other = Worker(connections[0], merge=merge_windows), Worker(connections[1])
    other.flush([("z", 0, 1, "u")])  # makes the chunks, for which one would wait
    told = [(service, 301, 7, "w") for service in "abcdef"]
    appearing = iter([("abcdef"[place], 400, 6, "v") for place in range(times)])

    def write_rows(cursor: Cursor, window: Window, rows: list[Row]) -> int:
        if cursor.connection is worker.connection and window.name == "5min":
            for event in itertools.islice(appearing, 1):
                told.append(event)
                other.flush([event])
        return real_write_rows(cursor, window, rows)

    monkeypatch.setattr(window_store, "write_rows", write_rows)
    with worker.connection.cursor() as cursor:
        cursor.execute("CREATE TABLE written_before (one int)")
    worker.flush(told[:])
    assert worker.refused == refused
    assert len(told) == 6 + times
    assert stored(database) == expected([*told, ("z", 0, 1, "u")], {})
    remains = database.rows("SELECT to_regclass('written_before') IS NOT NULL") == [(True,)]
    assert remains == (refused == 0), "what the transaction had written before"


@pytest.mark.parametrize("calm", [NEVER, 0])
def test_a_row_deleted_and_made_again_is_not_taken_for_the_one_that_is_kept(
    database: Database, connections: list[Connection], calm: int
) -> None:
    one, other = Worker(connections[0], calm=calm), Worker(connections[1])
    one.flush([("a", 0, 5, "u")])
    for window in WINDOWS:
        database.execute(f"DELETE FROM {window.table}")  # noqa: S608
    other.flush([("a", 0, 100, "v")])  # revision 1 again
    one.flush([("a", 0, 7, "w")])
    assert set(stored(database).values()) == {(2, 107.0, 7.0, 100.0, 2)}


def test_what_is_kept_is_not_read_again(
    database: Database, connections: list[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(connections[0])
    worker.flush([("a", 0, 5, "u"), ("b", 0, 6, "u")])
    read: list[object] = []
    real = Delta.from_row.__func__  # type: ignore[attr-defined]

    def from_row(of: type[Delta], row: object) -> Delta:
        read.append(row)
        state: Delta = real(of, row)
        return state

    monkeypatch.setattr(Delta, "from_row", classmethod(from_row))
    worker.flush([("a", 1, 7, "v")])
    assert read == []
    Worker(connections[1]).flush([("a", 2, 9, "w")])
    assert len(read) == 3, "somebody else's first look, one a window"
    worker.flush([("a", 3, 11, "x"), ("b", 3, 12, "x")])
    assert len(read) == 6, "of a, which was changed meanwhile; not of b"
    assert stored(database)["1min", "a", START_S] == (4, 32.0, 5.0, 11.0, 4)


def test_rows_that_are_not_written_any_more_are_let_go(connections: list[Connection]) -> None:
    worker = Worker(connections[0])
    worker.flush([("a", 0, 5, "u")])
    for second in range(FLUSHES - 1):
        worker.flush([("b", second, 5, "u")])
        assert len(worker.kept) == 6
    worker.flush([("b", 50, 5, "u")])
    assert len(worker.kept) == 3
    worker.flush([("b", 51, 5, "u")], commit=False)
    assert (len(worker.kept), worker.kept.size_bytes) == (0, 0)


def test_rows_are_trusted_once_nobody_else_has_written_them_for_a_while(
    connections: list[Connection], database: Database
) -> None:
    worker, other = Worker(connections[0], calm=3), Worker(connections[1])
    trusted = []
    for second in range(4):
        worker.flush([("a", second, 5, "u")])
        trusted.append(worker.kept.is_trusted)
    assert trusted == [False, False, True, True]
    other.flush([("a", 10, 100, "v")])
    worker.flush([("a", 11, 7, "w")])
    assert (worker.refused, worker.kept.is_trusted) == (1, False)
    for second in range(2):
        worker.flush([("a", 20 + second, 7, "w")])
    assert worker.kept.is_trusted, "three calm ones again"
    assert set(stored(database).values()) == {(8, 141.0, 5.0, 100.0, 3)}


def test_a_row_that_is_trusted_but_gone_is_not_brought_back(
    connections: list[Connection], database: Database
) -> None:
    worker = Worker(connections[0], calm=0)
    worker.flush([("a", 0, 5, "u")])
    for window in WINDOWS:
        database.execute(f"DELETE FROM {window.table}")  # noqa: S608
    worker.flush([("a", 0, 7, "w")])
    assert worker.refused == 1
    assert set(stored(database).values()) == {(1, 7.0, 7.0, 7.0, 1)}


def test_somebody_who_writes_a_kept_row_disturbs(connections: list[Connection]) -> None:
    worker, other = Worker(connections[0], calm=2), Worker(connections[1])
    worker.flush([("a", 0, 5, "u")])
    other.flush([("a", 1, 5, "u")])
    worker.flush([("a", 2, 5, "u")])
    assert (worker.refused, worker.kept.is_trusted) == (0, False)
    worker.flush([("a", 3, 5, "u")])
    assert not worker.kept.is_trusted
    worker.flush([("a", 4, 5, "u")])
    assert worker.kept.is_trusted


def test_a_row_that_appears_says_nothing_against_those_that_are_kept(
    connections: list[Connection], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, other = Worker(connections[0]), Worker(connections[1])
    worker.flush([("a", 0, 5, "u")])

    def write_rows(*arguments: Any) -> int:
        monkeypatch.setattr(window_store, "write_rows", real_write_rows)
        other.flush([("b", 0, 6, "v")])
        return real_write_rows(*arguments)

    monkeypatch.setattr(window_store, "write_rows", write_rows)
    worker.flush([("b", 0, 7, "w")])
    assert (worker.refused, len(worker.kept)) == (1, 6)
    assert stored(database)["1hour", "b", START_S] == (2, 13.0, 6.0, 7.0, 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("calm", "deletes"), [(NEVER, True), (2, True), (2, False)])
@pytest.mark.parametrize("merge", [at_once, merge_windows, ahead])
def test_sketches_stay_as_they_are_stored_and_lack_nobody(
    database: Database,
    connections: list[Connection],
    seed: int,
    calm: int,
    deletes: bool,
    merge: Merge,
) -> None:
    dice = random.Random(seed)
    workers = [Worker(connection, 10**7, calm, merge) for connection in connections[:2]]
    # As many as a sketch counts exactly; with some 120 it is large enough to be left alone.
    users = [f"user-{number}" for number in range(260)]
    shared = [f"shared-{number}" for number in range(110)]
    told: list[Told] = []
    gone: dict[tuple[str, Cell], int] = {}
    left_alone = 0
    for turn in range(50):
        worker = workers[0] if turn < 10 else dice.choice(workers)
        events = some_events(dice, len(users))
        if turn % 12 == 0:
            events += [("a", 0, 5, user) for user in dice.sample(users, 255)]
        if (
            turn % 12 == 5
        ):  # so many that the sketch of users is written whole, and that of addresses is not
            events += [("a", 0, 5, user) for user in dice.sample(shared, 105)]
        worker.flush(events[: dice.randrange(len(events))], commit=False)
        worker.flush(events)
        told += events
        if deletes and turn % 20 == 15:
            window = dice.choice(WINDOWS)
            database.execute(f"DELETE FROM {window.table} WHERE service = 'a'")  # noqa: S608
            for start in {START_S + event[1] for event in told if event[0] == "a"}:
                gone[window.name, ("a", start // window.seconds * window.seconds)] = len(told)
        assert stored(database) == expected(told, gone)
        ((kept,),) = database.rows(
            "SELECT count(*) FROM analytics_metrics_1hour WHERE users_recent IS NOT NULL"
        )
        left_alone += kept
    assert left_alone > 20


def test_a_sketch_that_is_left_alone_is_not_written_out_of_line_again(
    database: Database, connections: list[Connection]
) -> None:
    worker = Worker(connections[0], 10**7)
    worker.flush([("a", 0, 5, f"user-{number}") for number in range(3_000)])

    def out_of_line() -> int:
        database.execute("SELECT pg_stat_force_next_flush()")
        ((count,),) = database.rows(
            """
            SELECT sum(pg_stat_get_tuples_inserted(pg_class.reltoastrelid))::bigint
            FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'analytics_metrics_1hour'::regclass
            """
        )
        return int(count)

    def flush(user: str) -> None:
        worker.flush([("a", 1, 5, user)])
        with worker.connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
        worker.connection.commit()

    flush("user-5")
    before = out_of_line()
    assert before > 0
    for number in range(50):
        flush(f"late-{number}")
    assert out_of_line() == before
    for number in range(100):
        flush(f"later-{number}")
    assert before < out_of_line() <= before + 4, "once in 130 users"
