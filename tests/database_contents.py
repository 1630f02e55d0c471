"""Everything that a database holds, in a form in which two can be compared."""

from __future__ import annotations

import hashlib
from typing import Any

from psycopg2 import sql

from tests.databases import Database

# What is noted of a backup is noted when it is finished, so the backup does not hold it.
NOTED_AFTERWARDS = ("public", "backups_made")
TABLES = """
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname IN ('public', 'stacklens') ORDER BY 1, 2
"""
# A table's rows as text, sorted; a hypertable's with those of its chunks.
ROWS = "SELECT each::text FROM {} AS each ORDER BY 1"
OBJECTS = """
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(c.oid)
    FROM pg_constraint AS c
    INNER JOIN pg_namespace AS n ON n.oid = c.connamespace WHERE nspname = 'public' AND contype <> 'n'
    UNION ALL
    SELECT 'index', schemaname || '.' || tablename, indexname, indexdef
    FROM pg_indexes WHERE schemaname IN ('public', 'stacklens', '_timescaledb_internal')
        AND tablename !~ '^bgw_'
    UNION ALL
    SELECT 'function', nspname, p.oid::regprocedure::text, md5(prosrc) || coalesce(proacl::text, '')
    FROM pg_proc AS p INNER JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname = 'stacklens' OR nspname = 'public' AND proname LIKE 'analytics%%'
    UNION ALL
    SELECT 'relation', nspname, relname, coalesce(relacl::text, '') || coalesce(reloptions::text, '')
    FROM pg_class AS r INNER JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE nspname IN ('public', 'stacklens') AND relkind IN ('r', 'v', 'S')
    UNION ALL
    SELECT 'view', schemaname, viewname, definition FROM pg_views WHERE schemaname IN ('public', 'stacklens')
    UNION ALL
    SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid)
    FROM pg_trigger AS t WHERE NOT tgisinternal
    UNION ALL
    SELECT 'chunk', hypertable_name, chunk_name, range_start || ' ' || range_end
    FROM timescaledb_information.chunks
    ORDER BY 1, 2, 3, 4
"""


def contents(database: Database) -> dict[str, str]:
    """Number and digest of each table's rows; of the notes about backups only that there is the table."""
    found = {}
    with database.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'; SET extra_float_digits = 3")
        cursor.execute(TABLES)
        for schema, table in cursor.fetchall():
            cursor.execute(sql.SQL(ROWS).format(sql.Identifier(schema, table)))
            rows = [row[0] for row in cursor.fetchall() if (schema, table) != NOTED_AFTERWARDS]
            digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
            found[f"{schema}.{table}"] = f"{len(rows)} rows, {digest}"
    return found


def objects(database: Database) -> list[tuple[Any, ...]]:
    """Definitions and privileges of tables, views, functions, indexes, constraints, triggers and chunks."""
    return database.rows(OBJECTS)
