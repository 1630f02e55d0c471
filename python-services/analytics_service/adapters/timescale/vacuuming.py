"""Giving free the space that rewritten rows leave behind, before autovacuum would look.

The rows of live windows are rewritten with every flush, their large values out of line. Within the minute that
autovacuum takes to look again, a table of few rows grows to a hundred times its size. What is vacuumed as soon as a
third of it is dead hardly grows to more than twice its size, and each row written pays for about three rows looked at,
however large the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection

# Below that there is nothing to gain: a few pages.
LEAST_DEAD = 100
# About what one row of out-of-line values takes. They have a table of their own, with dead rows of its own, which is
# vacuumed with the chunk it belongs to. How many of them are alive the server only guesses, and more with every vacuum
# beside a flush, so the size of the file is asked. Whoever vacuums or changes a table holds that lock.
VALUE_BYTES = 2_000
_OVERGROWN = """
    SELECT space.nspname, chunk.relname, relation.oid::bigint, pg_stat_get_dead_tuples(relation.oid)
    FROM unnest(%(tables)s::text[]) AS parent (name)
    INNER JOIN pg_inherits AS link ON link.inhparent = to_regclass(parent.name)
    INNER JOIN pg_class AS chunk ON chunk.oid = link.inhrelid
    INNER JOIN pg_namespace AS space ON space.oid = chunk.relnamespace
    CROSS JOIN LATERAL (VALUES (chunk.oid), (chunk.reltoastrelid)) AS relation (oid)
    WHERE CASE
        WHEN relation.oid = 0 OR pg_stat_get_dead_tuples(relation.oid) < %(least)s THEN false
        WHEN relation.oid = chunk.oid
            THEN pg_stat_get_dead_tuples(relation.oid) >= pg_stat_get_live_tuples(relation.oid)
        ELSE pg_stat_get_dead_tuples(relation.oid) * %(bytes)s >= pg_relation_size(relation.oid) / 3
    END AND NOT EXISTS (
        SELECT FROM pg_locks AS held
        WHERE held.locktype = 'relation' AND held.mode = 'ShareUpdateExclusiveLock' AND held.granted
            AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND held.relation IN (chunk.oid, chunk.reltoastrelid)
    )
    ORDER BY pg_stat_get_dead_tuples(relation.oid) DESC
"""


@dataclass(frozen=True, slots=True)
class Overgrown:
    """A chunk of which much is dead, in itself or among its out-of-line values.

    `relation`: the object id of the one of the two that it is.
    """

    schema: str
    name: str
    relation: int
    dead_rows: int


def overgrown(conn: connection, tables: Sequence[str]) -> list[Overgrown]:
    """Those of the chunks of hypertables that want vacuuming and nobody is at, the worst first.

    `conn` in autocommit mode. Raises psycopg2 errors.
    """
    with conn.cursor() as cur:
        wanted = {"tables": list(tables), "least": LEAST_DEAD, "bytes": VALUE_BYTES}
        cur.execute(_OVERGROWN, wanted)
        return [Overgrown(*row) for row in cur.fetchall()]


def vacuum(conn: connection, chunk: Overgrown) -> bool:
    """Vacuum it; False when that was not to be had, because somebody else has come to be at it.

    `conn` in autocommit mode. The file is not cut at its end, for which readers would have to wait: it is filled again
    at once. Raises psycopg2 errors, QueryCanceled when it takes longer than the session's statement_timeout.
    """
    statement = sql.SQL("VACUUM (SKIP_LOCKED, TRUNCATE false) {}")
    del conn.notices[:]
    with conn.cursor() as cur:
        cur.execute(statement.format(sql.Identifier(chunk.schema, chunk.name)))
    return not conn.notices
