"""Workers that keep what they wrote last, beside others who write, delete, roll back: rows say what the events do."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale import window_store
from analytics_service.adapters.timescale.kept_rows import FLUSHES
from analytics_service.adapters.timescale.window_rows import Row
from analytics_service.adapters.timescale.window_rows import put_lines as real_put_lines
from analytics_service.adapters.timescale.window_rows import row_lines as real_row_lines
from analytics_service.adapters.timescale.window_rows import write_rows as real_write_rows
from analytics_service.adapters.timescale.window_store import merge_windows
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import WINDOWS, Window
from tests.databases import Database
from tests.integration.keeping_worker import (
    NEVER,
    SERVICES,
    START_S,
    Merge,
    Told,
    Worker,
    ahead,
    at_once,
    delete_noting,
    expected,
    some_events,
    stored,
)


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
            delete_noting(database, window, gone, told, dice.choice(SERVICES))
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
            done[what] += delete_noting(database, window, gone, told, dice.choice(SERVICES))
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
