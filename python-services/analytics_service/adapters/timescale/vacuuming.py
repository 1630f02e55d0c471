"""Giving free the space that rewritten rows leave behind, before autovacuum would look.

The rows of live windows are rewritten with every flush, their large values out of line. Within the minute that
autovacuum takes to look again, a table of few rows grows to a hundred times its size. A table is vacuumed once it holds
as many dead rows as living ones: it never grows to much more than twice its size, and each row written pays for about
one row looked at, however large the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection

# Below that there is nothing to gain: a few pages.
LEAST_DEAD = 100
# Out-of-line values have a table of their own, with the dead of its own; it is vacuumed with the one it belongs to.
_OVERGROWN = """
    SELECT space.nspname, chunk.relname, dead.rows
    FROM unnest(%(tables)s::text[]) AS parent (name)
    INNER JOIN pg_inherits AS link ON link.inhparent = to_regclass(parent.name)
    INNER JOIN pg_class AS chunk ON chunk.oid = link.inhrelid
    INNER JOIN pg_namespace AS space ON space.oid = chunk.relnamespace
    CROSS JOIN LATERAL (
        SELECT max(pg_stat_get_dead_tuples(relation.oid)) AS rows
        FROM (VALUES (chunk.oid), (chunk.reltoastrelid)) AS relation (oid)
        WHERE relation.oid <> 0
            AND pg_stat_get_dead_tuples(relation.oid) >= greatest(%(least)s, pg_stat_get_live_tuples(relation.oid))
    ) AS dead
    WHERE dead.rows IS NOT NULL
    ORDER BY dead.rows DESC
"""


@dataclass(frozen=True, slots=True)
class Overgrown:
    """A chunk with as many dead rows as living ones, in itself or among its out-of-line values."""

    schema: str
    name: str
    dead_rows: int


def overgrown(conn: connection, tables: Sequence[str]) -> list[Overgrown]:
    """Those of the chunks of hypertables that want vacuuming, the worst first. `conn` in autocommit mode."""
    with conn.cursor() as cur:
        cur.execute(_OVERGROWN, {"tables": list(tables), "least": LEAST_DEAD})
        return [Overgrown(*row) for row in cur.fetchall()]


def vacuum(conn: connection, chunk: Overgrown) -> None:
    """Vacuum it, unless somebody else is at it. `conn` in autocommit mode.

    The file is not cut at its end, for which readers would have to wait: it is filled again at once.
    """
    statement = sql.SQL("VACUUM (SKIP_LOCKED, TRUNCATE false) {}")
    with conn.cursor() as cur:
        cur.execute(statement.format(sql.Identifier(chunk.schema, chunk.name)))
