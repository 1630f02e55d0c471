"""Who may do what in this database: the statements still missing, so that none runs twice."""

from __future__ import annotations

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.connecting import ADMIN_ROLE
from analytics_service.adapters.timescale.roles import INSUFFICIENT_PRIVILEGE, RolesError
from analytics_service.config import Settings

WRITE = "INSERT, UPDATE, DELETE"
# The runner's own records: nobody but the owner writes them.
HISTORY_TABLES = ("schema_migrations", "schema_scripts")

# Each row: a statement, and whether it is still needed. %(reader)s and %(admin)s are role names.
DATABASE_STATEMENTS = """
SELECT format(statement, current_database(), role) FROM (VALUES
    ('REVOKE TEMPORARY ON DATABASE %%1$I FROM PUBLIC, %%2$I', %(reader)s,
        has_database_privilege(%(reader)s, current_database(), 'TEMPORARY')),
    ('REVOKE CREATE ON SCHEMA public FROM PUBLIC, %%2$I', %(reader)s,
        has_schema_privilege(%(reader)s, 'public', 'CREATE')),
    ('GRANT CONNECT ON DATABASE %%1$I TO %%2$I', %(reader)s,
        NOT has_database_privilege(%(reader)s, current_database(), 'CONNECT')),
    ('GRANT CONNECT ON DATABASE %%1$I TO %%2$I', %(admin)s,
        NOT has_database_privilege(%(admin)s, current_database(), 'CONNECT'))
) AS needs (statement, role, is_needed)
WHERE is_needed
"""

SCHEMA_STATEMENTS = """
SELECT format('GRANT USAGE ON SCHEMA %%I TO %%I', nspname, role)
FROM pg_catalog.pg_namespace, (VALUES (%(reader)s), (%(admin)s)) AS roles (role)
WHERE nspname IN ('public', 'stacklens') AND NOT has_schema_privilege(role, oid, 'USAGE')
"""

RELATION_STATEMENTS = """
SELECT format('GRANT %%s ON %%s %%I.%%I TO %%I', granted, kind, nspname, relname, role)
FROM pg_catalog.pg_class AS relation
INNER JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
CROSS JOIN (VALUES
    (%(reader)s, 'SELECT', 'TABLE'), (%(admin)s, 'SELECT', 'TABLE'),
    (%(admin)s, %(write)s, 'TABLE'), (%(admin)s, 'USAGE', 'SEQUENCE')
) AS needs (role, granted, kind)
WHERE nspname IN ('public', 'stacklens')
AND CASE kind WHEN 'SEQUENCE' THEN relkind = 'S' ELSE relkind IN ('r', 'p', 'v', 'm') END
AND NOT (granted = %(write)s AND relname = ANY (%(history)s))
AND pg_has_role(relowner, 'USAGE')
AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend
    WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = relation.oid AND deptype = 'e'
)
AND NOT (
    SELECT bool_and(CASE kind
        WHEN 'SEQUENCE' THEN has_sequence_privilege(role, relation.oid, trim(word))
        ELSE has_table_privilege(role, relation.oid, trim(word)) END)
    FROM unnest(string_to_array(granted, ',')) AS words (word)
)
"""


def set_default_privileges(connection: Connection, settings: Settings) -> None:
    """Let the roles use what this user will create in schema public, without asking again."""
    with connection, connection.cursor() as cursor:
        for granted, kind, role in (
            ("SELECT", "TABLES", settings.db_reader_user),
            (f"SELECT, {WRITE}", "TABLES", ADMIN_ROLE),
            ("USAGE", "SEQUENCES", ADMIN_ROLE),
        ):
            cursor.execute(
                sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {} ON {} TO {}").format(
                    sql.SQL(granted), sql.SQL(kind), sql.Identifier(role)
                )
            )


def missing_privileges(connection: Connection, settings: Settings) -> list[str]:
    """The statements that would give both roles exactly what they need in this database."""
    names = {
        "reader": settings.db_reader_user,
        "admin": ADMIN_ROLE,
        "write": WRITE,
        "history": list(HISTORY_TABLES),
    }
    statements: list[str] = []
    with connection, connection.cursor() as cursor:
        for query in (DATABASE_STATEMENTS, SCHEMA_STATEMENTS, RELATION_STATEMENTS):
            cursor.execute(query, names)
            statements += [row[0] for row in cursor.fetchall()]
    return statements


def grant_privileges(connection: Connection, settings: Settings) -> None:
    """Run what is missing. Raises RolesError with the statements this user may not run."""
    statements = missing_privileges(connection, settings)
    try:
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except psycopg2.Error as error:
        if error.pgcode != INSUFFICIENT_PRIVILEGE:
            raise
    # A REVOKE by someone else than the owner only warns: look again.
    if still_missing := missing_privileges(connection, settings):
        raise RolesError(
            f"{settings.db_user} may not set the privileges of this database.", still_missing
        )
