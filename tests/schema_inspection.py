"""What a database's catalogs tell of the product's schema, extensions left out."""

from __future__ import annotations

from typing import Any

from tests.databases import Database

# A schema of its own: neither the product's nor looked at itself.
_INSPECTION = """
CREATE SCHEMA IF NOT EXISTS inspection;
CREATE OR REPLACE VIEW inspection.own AS
WITH objects AS (
    SELECT 'pg_class'::regclass AS catalog, oid, relnamespace AS namespace FROM pg_class
    UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
)
SELECT catalog, oid, namespace::regnamespace::text AS schema FROM objects
WHERE namespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'stacklens'))
AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = catalog AND objid = objects.oid AND deptype = 'e'
);
CREATE OR REPLACE VIEW inspection.relations AS
SELECT pg_class.*, own.schema FROM pg_class
INNER JOIN inspection.own ON catalog = 'pg_class'::regclass AND own.oid = pg_class.oid;
CREATE OR REPLACE VIEW inspection.functions AS
SELECT pg_proc.*, own.schema FROM pg_proc
INNER JOIN inspection.own ON catalog = 'pg_proc'::regclass AND own.oid = pg_proc.oid;
"""
_SNAPSHOT = """
SELECT 'relation', relations.oid::regclass::text, relkind::text, reloptions::text,
    concat_ws(' ', obj_description(relations.oid, 'pg_class'), relacl)
FROM inspection.relations
UNION ALL
SELECT 'column', attrelid::regclass::text, attname::text, format_type(atttypid, atttypmod),
    concat_ws(' ', attnotnull, attcollation::regcollation, pg_get_expr(adbin, adrelid),
        col_description(attrelid, attnum))
FROM pg_attribute
INNER JOIN inspection.relations ON relations.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'index', indrelid::regclass::text, indexrelid::regclass::text, '', pg_get_indexdef(indexrelid)
FROM pg_index INNER JOIN inspection.relations ON relations.oid = indexrelid
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname::text, '', pg_get_constraintdef(pg_constraint.oid)
FROM pg_constraint INNER JOIN inspection.relations ON relations.oid = conrelid
UNION ALL
SELECT 'function', functions.oid::regprocedure::text, prokind::text, prosrc,
    obj_description(functions.oid, 'pg_proc')
FROM inspection.functions
ORDER BY 1, 2, 3, 4, 5
"""
_HYPERTABLES = """
SELECT hypertable_name::text, column_name::text, extract(epoch FROM time_interval)::int
FROM timescaledb_information.dimensions ORDER BY 1
"""
_WITHOUT_COMMENT = """
SELECT relations.oid::regclass::text AS object FROM inspection.relations
WHERE relkind IN ('r', 'p', 'v', 'm') AND obj_description(oid, 'pg_class') IS NULL
UNION ALL
SELECT relations.oid::regclass || '.' || attname FROM pg_attribute
INNER JOIN inspection.relations ON relations.oid = attrelid
WHERE relkind IN ('r', 'p', 'v', 'm', 'c') AND attnum > 0 AND NOT attisdropped
AND col_description(attrelid, attnum) IS NULL
UNION ALL
SELECT functions.oid::regprocedure::text FROM inspection.functions
WHERE obj_description(oid, 'pg_proc') IS NULL
ORDER BY 1
"""


def snapshot(database: Database) -> list[tuple[Any, ...]]:
    """The whole schema: options, privileges, columns, indexes, constraints, functions, comments.

    Two are equal exactly when the schemas are.
    """
    database.execute(_INSPECTION)
    found = database.rows(_SNAPSHOT)
    if database.rows("SELECT FROM pg_extension WHERE extname = 'timescaledb'"):
        found += database.rows(_HYPERTABLES)
    return found


def tables(database: Database) -> set[str]:
    """Names of the product's tables in schema public."""
    database.execute(_INSPECTION)
    query = "SELECT relname FROM inspection.relations WHERE relkind = 'r' AND schema = 'public'"
    return {row[0] for row in database.rows(query)}


def public_functions(database: Database) -> set[str]:
    """Names of the product's functions in schema public."""
    database.execute(_INSPECTION)
    query = "SELECT proname FROM inspection.functions WHERE schema = 'public'"
    return {row[0] for row in database.rows(query)}


def hypertables(database: Database) -> list[tuple[str, str, int]]:
    """(table, time column, seconds of a chunk) of every hypertable."""
    return [(row[0], row[1], row[2]) for row in database.rows(_HYPERTABLES)]


def without_comment(database: Database) -> list[str]:
    """Tables, views, columns and functions that nobody has explained."""
    database.execute(_INSPECTION)
    return [row[0] for row in database.rows(_WITHOUT_COMMENT)]
