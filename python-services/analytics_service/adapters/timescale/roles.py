"""The roles beside the owner, and what they may do: a reader and an admin.

Roles belong to the whole cluster: they may exist already, and other databases may migrate at the
same moment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import encrypt_password

from analytics_service.adapters.timescale.connecting import ADMIN_ROLE, Role, parameters
from analytics_service.adapters.timescale.errors import MigrationError
from analytics_service.config import Settings

INSUFFICIENT_PRIVILEGE = "42501"
# Another session made or altered the role in between: duplicate_object, unique_violation, and the
# internal error "tuple concurrently updated", which is how a catalog reports a lost race.
LOST_RACE = {"42710", "23505", "XX000"}
RACE_ATTEMPTS = 30
RACE_DELAY_S = 0.1

logger = logging.getLogger(__name__)


class RolesError(MigrationError):
    """A role is missing or unfit; an administrator has to run `statements`."""

    def __init__(self, problem: str, statements: list[str]) -> None:
        self.statements = statements
        script = "".join(f"\n  {statement};" for statement in statements)
        advice = f" An administrator must run, in this database:{script}" if statements else ""
        super().__init__(problem + advice)


def ensure_roles(
    connection: Connection, settings: Settings, sleep: Callable[[float], object]
) -> None:
    """Make the roles exist with LOGIN and the passwords of the settings, where these are set.

    Only a SCRAM verifier travels, so that no password reaches the server's log. A user without
    the privilege is content when the roles exist and their passwords work; RolesError otherwise.
    """
    if settings.db_reader_user in (settings.db_user, ADMIN_ROLE):
        raise RolesError(
            f"DB_READER_USER must be a role of its own, not {settings.db_reader_user}", []
        )
    passwords: list[tuple[Role, str, str]] = [
        ("reader", settings.db_reader_user, settings.reader_password),
        ("admin", ADMIN_ROLE, settings.admin_password),
    ]
    for role, name, password in passwords:
        try:
            _ensure_role(connection, name, password, sleep)
        except psycopg2.Error as error:
            if error.pgcode != INSUFFICIENT_PRIVILEGE:
                raise
            _accept_existing(connection, settings, role, name)
        if role == "reader":
            _refuse_powerful(connection, name)


def _ensure_role(
    connection: Connection, name: str, password: str, sleep: Callable[[float], object]
) -> None:
    for attempt in range(1, RACE_ATTEMPTS + 1):
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", (name,))
                verb = sql.SQL("ALTER ROLE" if cursor.rowcount else "CREATE ROLE")
                statement = sql.SQL("{} {} LOGIN").format(verb, sql.Identifier(name))
                if password:
                    verifier = encrypt_password(password, name, connection, "scram-sha-256")
                    statement += sql.SQL(" PASSWORD {}").format(sql.Literal(verifier))
                cursor.execute(statement)
            return
        except psycopg2.Error as error:
            if error.pgcode not in LOST_RACE or attempt == RACE_ATTEMPTS:
                raise
            logger.debug(
                "role %s: another session was faster (%s), trying again", name, error.pgcode
            )
            sleep(RACE_DELAY_S)


def _accept_existing(connection: Connection, settings: Settings, role: Role, name: str) -> None:
    """Without the privilege to alter the role: is it usable as it is?"""
    params = parameters(settings, role)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = %s", (name,))
        found = cursor.fetchone()
        quoted = sql.Identifier(name).as_string(cursor)
    if found is None:
        problem = f"role {name} does not exist and {settings.db_user} may not create roles."
        raise RolesError(problem, [f"CREATE ROLE {quoted} LOGIN PASSWORD '...'"])
    if not params.password and found == (True,):
        return
    try:
        params.connect().close()
    except psycopg2.OperationalError as error:
        problem = (
            f"role {name} cannot log in with the password of the settings ({params.why(error)}) "
            f"and {settings.db_user} may not change it."
        )
        raise RolesError(problem, [f"ALTER ROLE {quoted} LOGIN PASSWORD '...'"]) from None


def _refuse_powerful(connection: Connection, name: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_catalog.pg_roles WHERE rolname = %s"
            " AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication)",
            (name,),
        )
        if cursor.rowcount:
            quoted = sql.Identifier(name).as_string(cursor)
            statement = f"ALTER ROLE {quoted} NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION"
            raise RolesError(f"role {name} must be able to read only.", [statement])
