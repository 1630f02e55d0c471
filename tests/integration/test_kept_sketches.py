"""Sketches of rows that workers keep: they stay where they are, lack nobody, and are not written again."""

from __future__ import annotations

import random

import pytest
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.window_store import merge_windows
from analytics_service.domain.aggregation import Cell
from analytics_service.domain.windows import WINDOWS
from tests.databases import Database
from tests.integration.keeping_worker import (
    NEVER,
    START_S,
    Merge,
    Told,
    Worker,
    ahead,
    at_once,
    expected,
    some_events,
    stored,
)


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
