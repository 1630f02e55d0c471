"""The product's tables, and how many rows each holds."""

from __future__ import annotations

from psycopg2.extensions import cursor

# Schemas public and stacklens without what belongs to an extension; a hypertable counts with all of its chunks.
TABLES = """
SELECT format('%I.%I', nspname, relname) AS name
FROM pg_catalog.pg_class AS relation
INNER JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE nspname IN ('public', 'stacklens') AND relkind IN ('r', 'p')
AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend
    WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = relation.oid AND deptype = 'e'
)
"""
# One statement, so that a script without variables can use it too.
ROWS = f"""
SELECT coalesce(json_object_agg(name, (xpath(
    '/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %s', name), false, true, '')
))[1]::text::bigint ORDER BY name), '{{}}')
FROM ({TABLES}) AS listed
"""  # noqa: S608  # fixed text


def count_rows(cur: cursor) -> dict[str, int]:
    """Rows by table, schema-qualified, as the transaction sees them."""
    cur.execute(ROWS)
    ((counted,),) = cur.fetchall()
    return {str(name): int(rows) for name, rows in counted.items()}


def table_names(cur: cursor) -> list[str]:
    """The names of the tables, schema-qualified."""
    cur.execute(f"{TABLES} ORDER BY 1")
    return [str(row[0]) for row in cur.fetchall()]
