"""Roles and privileges: what reader, admin and owner may do, and what a plain owner may not."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg2
import pytest
from psycopg2 import sql

from analytics_service.adapters.timescale.connecting import Role, parameters
from analytics_service.adapters.timescale.errors import MigrationError
from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.adapters.timescale.roles import RolesError, ensure_roles
from analytics_service.config import Settings, load_settings
from tests.databases import Database
from tests.waiting import wait_until

PASSWORD = "not-the-one-of-the-cluster"


def no_sleep(_delay_s: float) -> None:
    """Retries follow at once."""


def settings_for(database: Database, **more: str) -> Settings:
    """The product's settings on this database."""
    return load_settings({**database.env, "APP_ENV": "test", **more}, env_file=None)


def run_as(settings: Settings, role: Role, statement: str) -> list[tuple[object, ...]]:
    """One statement as one of the roles, committed."""
    opened = parameters(settings, role).connect()
    with contextlib.closing(opened), opened, opened.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class Names:
    """Roles of this test alone: they belong to the whole cluster."""

    owner: str
    reader: str


@pytest.fixture
def names(empty_database: Database) -> Iterator[Names]:
    """Two names, and no trace of them afterwards."""
    suffix = secrets.token_hex(4)
    made = Names(f"owner_{suffix}", f"reader_{suffix}")
    yield made
    empty_database.execute("DROP SCHEMA IF EXISTS stacklens CASCADE")
    for name in (made.reader, made.owner):
        if empty_database.rows("SELECT FROM pg_roles WHERE rolname = %s", name):
            role = sql.Identifier(name)
            empty_database.execute(
                sql.SQL(
                    "REASSIGN OWNED BY {} TO CURRENT_USER; DROP OWNED BY {}; DROP ROLE {}"
                ).format(role, role, role)
            )


@pytest.fixture
def plain_owner(
    empty_database: Database, names: Names, migrated_template: str
) -> Callable[[str], Settings]:
    """Settings of an owner that is no superuser; `attributes` are those of CREATE ROLE.

    (That a template was migrated by a superuser means that the admin role exists already.)
    """
    assert migrated_template

    def make(attributes: str) -> Settings:
        owner = sql.Identifier(names.owner)
        empty_database.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD %s " + attributes).format(owner), PASSWORD
        )
        empty_database.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(empty_database.name), owner
            )
        )
        return settings_for(
            empty_database,
            DB_USER=names.owner,
            DB_PASSWORD=PASSWORD,
            DB_READER_USER=names.reader,
            DB_READER_PASSWORD="of-the-reader",
            DB_ADMIN_PASSWORD=settings_for(empty_database).admin_password,
        )

    return make


@pytest.fixture
def own_reader(empty_database: Database, names: Names) -> Settings:
    """A migrated database with a reader of its own."""
    settings = settings_for(
        empty_database, DB_READER_USER=names.reader, DB_READER_PASSWORD="of-the-reader"
    )
    Migrator(settings).up()
    return settings


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO system_config (key, value) VALUES ('a', 'b')",
        "UPDATE retention_tiers SET archived_before = now()",
        "DELETE FROM analytics_events",
        "TRUNCATE analytics_metrics_1min",
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE TABLE stacklens.mine (a int)",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT nextval('analytics_dead_letters_id_seq')",
        "SELECT drop_chunks('analytics_events', now())",
        "LOCK TABLE retention_tiers IN EXCLUSIVE MODE",
        "GRANT SELECT ON analytics_events TO PUBLIC WITH GRANT OPTION",
        "SET ROLE stacklens_admin",
        "SELECT * FROM pg_authid",
    ],
)
def test_the_reader_can_change_nothing(own_reader: Settings, statement: str) -> None:
    """Whatever statement reaches it, /query included."""
    with pytest.raises(psycopg2.Error) as caught:
        run_as(own_reader, "reader", statement)
    assert caught.value.pgcode in {"42501", "0LP01"}


def test_the_reader_reads_everything_and_tables_to_come(
    own_reader: Settings, empty_database: Database
) -> None:
    """Every table, and without another grant those that a later migration makes."""
    tables = empty_database.rows(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace"
    )
    for (table,) in tables:
        run_as(own_reader, "reader", f"TABLE {table}")
    run_as(own_reader, "owner", "CREATE TABLE to_come AS SELECT 1 AS a")
    assert run_as(own_reader, "reader", "TABLE to_come") == [(1,)]
    assert run_as(own_reader, "reader", "SELECT stacklens.latency_bucket_value(-1000000)") == [(0,)]


def test_the_reader_reads_through_hypertables(own_reader: Settings) -> None:
    """A chunk made after the grants is readable, too."""
    insert = "INSERT INTO analytics_metrics_1min (timestamp, service) VALUES ('2026-01-01Z', 'a')"
    run_as(own_reader, "owner", insert)
    assert run_as(own_reader, "reader", "SELECT service FROM analytics_metrics_1min") == [("a",)]


def test_the_admin_writes_tables_but_not_the_migration_records(own_reader: Settings) -> None:
    """It manages alerts and dead letters, not the schema."""
    insert = "INSERT INTO analytics_dead_letters (topic, topic_incarnation, kafka_partition,"
    insert += " kafka_offset, reason) VALUES ('t', 1, 0, 0, 'empty') RETURNING status"
    assert run_as(own_reader, "admin", insert) == [("pending",)]
    for statement in ("DELETE FROM schema_migrations", "DROP TABLE system_config"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            run_as(own_reader, "admin", statement)


def test_up_sets_a_changed_password(own_reader: Settings, empty_database: Database) -> None:
    """The new one works, the old one no more."""
    changed = settings_for(
        empty_database, DB_READER_USER=own_reader.db_reader_user, DB_READER_PASSWORD="changed"
    )
    Migrator(changed).up()
    assert run_as(changed, "reader", "SELECT 1") == [(1,)]
    with pytest.raises(psycopg2.OperationalError):
        run_as(own_reader, "reader", "SELECT 1")


def test_no_password_reaches_the_server(own_reader: Settings) -> None:
    """With every statement logged, the log shows a SCRAM verifier and no password."""
    logged = parameters(own_reader, session={"log_statement": "all", "client_min_messages": "log"})
    with contextlib.closing(logged.connect()) as connection:
        ensure_roles(connection, own_reader, no_sleep)
        text = "".join(connection.notices)
    assert "ALTER ROLE" in text
    assert "SCRAM-SHA-256$" in text
    assert own_reader.reader_password not in text
    assert own_reader.admin_password not in text


@pytest.mark.parametrize("verb", ["CREATE", "ALTER"])
def test_another_session_may_be_faster_with_a_role(
    empty_database: Database, names: Names, verb: str
) -> None:
    """Another database's migration makes or alters the role at the same moment: tried again."""
    settings = settings_for(
        empty_database, DB_READER_USER=names.reader, DB_READER_PASSWORD="of-the-reader"
    )
    role = sql.Identifier(names.reader)
    if verb == "ALTER":
        empty_database.execute(sql.SQL("CREATE ROLE {}").format(role))
    params = parameters(settings, application_name="ensure-roles")
    failures: list[Exception] = []
    waits: list[float] = []

    def ensure() -> None:
        try:
            with contextlib.closing(params.connect()) as connection:
                ensure_roles(connection, settings, waits.append)
        except psycopg2.Error as error:
            failures.append(error)

    with contextlib.closing(empty_database.connect()) as other, other.cursor() as cursor:
        other.autocommit = False
        cursor.execute(sql.SQL("{} ROLE {} NOLOGIN").format(sql.SQL(verb), role))
        thread = threading.Thread(target=ensure)
        thread.start()
        wait_until(
            lambda: empty_database.rows(
                "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'ensure-roles' AND wait_event_type = 'Lock'"
            ),
            60,
            "the second session waits for the first",
        )
        other.commit()
    thread.join(60)
    assert failures == []
    assert waits, "the race was not run"
    assert run_as(settings, "reader", "SELECT 1") == [(1,)]


def test_up_mends_privileges_lost_since(own_reader: Settings, empty_database: Database) -> None:
    """A restore or a copy of a database does not bring all of them along."""
    reader = sql.Identifier(own_reader.db_reader_user)
    database = sql.Identifier(empty_database.name)
    for statement in (
        sql.SQL("GRANT TEMPORARY ON DATABASE {} TO PUBLIC").format(database),
        sql.SQL("GRANT CREATE ON SCHEMA public TO PUBLIC"),
        sql.SQL("REVOKE SELECT ON analytics_events FROM {}").format(reader),
        sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(database),
        sql.SQL("REVOKE USAGE ON SCHEMA public FROM PUBLIC"),
    ):
        empty_database.execute(statement)
    with pytest.raises(psycopg2.OperationalError):
        run_as(own_reader, "reader", "SELECT 1")
    Migrator(own_reader).up()
    assert run_as(own_reader, "reader", "SELECT count(*) FROM analytics_events") == [(0,)]
    for refused in ("CREATE TEMPORARY TABLE mine (a int)", "CREATE TABLE mine (a int)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            run_as(own_reader, "reader", refused)


def test_down_keeps_the_roles(own_reader: Settings, empty_database: Database) -> None:
    """Other databases of the cluster may use them."""
    Migrator(own_reader).down(0)
    found = empty_database.rows(
        "SELECT count(*) FROM pg_roles WHERE rolname IN (%s, 'stacklens_admin')",
        own_reader.db_reader_user,
    )
    assert found == [(2,)]


def test_an_owner_with_createrole_needs_no_superuser(
    plain_owner: Callable[[str], Settings],
) -> None:
    """Extension, tables and roles by the owner of the database alone."""
    settings = plain_owner("CREATEROLE")
    Migrator(settings).up()
    assert Migrator(settings).up().applied == []
    assert run_as(settings, "reader", "SELECT count(*) FROM analytics_events") == [(0,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        run_as(settings, "reader", "CREATE TEMPORARY TABLE mine (a int)")
    Migrator(settings).down(0)


def test_an_owner_without_createrole_is_told_what_to_ask_for(
    plain_owner: Callable[[str], Settings], empty_database: Database, names: Names
) -> None:
    """First the missing role, then its password; once an administrator has helped, all is well."""
    settings = plain_owner("")
    reader = sql.Identifier(names.reader)
    with pytest.raises(RolesError, match=f"role {names.reader} does not exist") as caught:
        Migrator(settings).up()
    assert caught.value.statements == [f"CREATE ROLE \"{names.reader}\" LOGIN PASSWORD '...'"]
    assert caught.value.statements[0] in str(caught.value)

    empty_database.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'other'").format(reader))
    with pytest.raises(RolesError, match="cannot log in with the password") as caught:
        Migrator(settings).up()
    assert caught.value.statements == [f"ALTER ROLE \"{names.reader}\" LOGIN PASSWORD '...'"]

    empty_database.execute(sql.SQL("ALTER ROLE {} PASSWORD 'of-the-reader'").format(reader))
    Migrator(settings).up()
    assert run_as(settings, "reader", "SELECT count(*) FROM kafka_offsets") == [(0,)]


def test_a_user_that_does_not_own_the_database_is_told_so(
    plain_owner: Callable[[str], Settings], empty_database: Database
) -> None:
    """No table can be made: the message names the statements that help."""
    settings = plain_owner("CREATEROLE")
    back = sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER")
    empty_database.execute(back.format(sql.Identifier(empty_database.name)))
    with pytest.raises(MigrationError, match="SQLSTATE 42501") as caught:
        Migrator(settings).up()
    advice = f'ALTER DATABASE "{empty_database.name}" OWNER TO "{settings.db_user}";'
    assert advice in str(caught.value)


def test_privileges_that_only_the_database_owner_may_set(
    plain_owner: Callable[[str], Settings], empty_database: Database
) -> None:
    """It may make tables but cannot keep the reader from temporary ones: it says so, and stops."""
    settings = plain_owner("CREATEROLE")
    owner = sql.Identifier(settings.db_user)
    database = sql.Identifier(empty_database.name)
    for statement in (
        sql.SQL("CREATE EXTENSION timescaledb"),
        sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER").format(database),
        sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, owner),
        sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(owner),
    ):
        empty_database.execute(statement)
    with pytest.raises(RolesError, match="may not set the privileges") as caught:
        Migrator(settings).up()
    (missing,) = caught.value.statements
    assert missing.startswith("REVOKE TEMPORARY ON DATABASE ")
    empty_database.execute(missing)
    Migrator(settings).up()


def test_a_reader_with_power_is_refused(own_reader: Settings, empty_database: Database) -> None:
    """A read-only role that is a superuser would make every other precaution void."""
    role = sql.Identifier(own_reader.db_reader_user)
    empty_database.execute(sql.SQL("ALTER ROLE {} SUPERUSER").format(role))
    with pytest.raises(RolesError, match="must be able to read only") as caught:
        Migrator(own_reader).up()
    empty_database.execute(caught.value.statements[0])
    Migrator(own_reader).up()


@pytest.mark.parametrize("reader", ["stacklens_admin", None])
def test_the_reader_is_a_role_of_its_own(empty_database: Database, reader: str | None) -> None:
    """Neither the owner nor the admin."""
    settings = settings_for(
        empty_database, DB_READER_USER=reader or settings_for(empty_database).db_user
    )
    with pytest.raises(RolesError, match="must be a role of its own"):
        Migrator(settings).up()
