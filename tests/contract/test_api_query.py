"""`POST /query`: reads whatever the reader may read, and nothing that is tried with it leaves a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from dashboard_api import adhoc
from devstack.api import Stack
from tests.api_support import event, fresh_database, store_events
from tests.api_writes import ADMIN, READER, Sender, writing_app
from tests.databases import Database
from tests.waiting import wait_until

NAME = "stacklens-dashboard-api-query"


@pytest.fixture(scope="module")
def filled(stack: Stack, migrated_template: str) -> Iterator[Database]:
    with fresh_database(stack, migrated_template) as database:
        store_events(database, [event(1_700_000_000 + n, f"s{n}") for n in range(5)])
        yield database


@pytest.fixture(scope="module")
def app(filled: Database) -> Iterator[Flask]:
    with writing_app(filled) as app:
        yield app


@pytest.fixture
def sender(app: Flask) -> Sender:
    return Sender(app.test_client(), ADMIN)


def value(sender: Sender, expression: str) -> Any:
    body = sender.send("POST", "/query", {"sql": f"SELECT {expression} AS value"})
    assert [column["name"] for column in body["columns"]] == ["value"]
    ((found,),) = body["rows"]
    return found


def refused(sender: Sender, statement: str) -> dict[str, Any]:
    body = sender.send("POST", "/query", {"sql": statement}, expect=400)
    assert body["type"] == "urn:stacklens:problem:query-failed"
    assert body["errors"] == [{"parameter": "sql", "detail": body["detail"]}]
    assert isinstance(body, dict)
    return body


def test_rows_and_columns(sender: Sender) -> None:
    body = sender.send(
        "POST",
        "/query",
        {
            "sql": "SELECT service, total_requests AS n, 1 AS n FROM analytics_metrics_1min ORDER BY 1;"
        },
    )
    assert body["columns"] == [
        {"name": "service", "type": "text"},
        {"name": "n", "type": "bigint"},
        {"name": "n", "type": "integer"},
    ]
    assert body["rows"] == [[f"s{n}", 1, 1] for n in range(5)]
    assert (body["count"], body["truncated"]) == (5, False)
    assert body["elapsed_ms"] > 0


@pytest.mark.parametrize(
    "statement",
    ["TABLE system_config", "VALUES (1)", "WITH w AS (SELECT 1) TABLE w", "SHOW port", "EXPLAIN VALUES (1)", "SELECT"],
)  # fmt: skip
def test_whatever_gives_rows(sender: Sender, statement: str) -> None:
    assert "rows" in sender.send("POST", "/query", {"sql": statement})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("NULL", None),
        ("true", True),
        ("9007199254740993", 9007199254740993),
        ("1.5::float8", 1.5),
        ("'NaN'::float8", "NaN"),
        ("'-Infinity'::float4", "-Infinity"),
        ("'NaN'::numeric", "NaN"),
        ("'Infinity'::numeric", "Infinity"),
        ("'ü\n\"\\'", 'ü\n"\\'),
        ("'\\x00ff'::bytea", "\\x00ff"),
        ("'10.0.0.1'::inet", "10.0.0.1"),
        ("'2001:db8::/32'::cidr", "2001:db8::/32"),
        ("interval '14 months 3 days 4:05:06.7'", "P1Y2M3DT4H5M6.7S"),
        ("timestamptz '2026-03-10 12:34:56.789+02'", "2026-03-10T10:34:56.789Z"),
        ("timestamp '2026-03-10 12:34:56'", "2026-03-10T12:34:56"),
        ("timestamptz 'infinity'", "infinity"),
        ("timestamptz '0044-03-15 00:00+00 BC'", "0044-03-15 00:00:00+00 BC"),
        ("timestamptz '12026-03-10 00:00+00'", "12026-03-10T00:00:00Z"),
        ("date '-infinity'", "-infinity"),
        ("date '2026-03-10'", "2026-03-10"),
        ("time '12:00'", "12:00:00"),
        ("ARRAY[1, NULL, 3]", [1, None, 3]),
        ("ARRAY[[1.5::float8, 'NaN'], [2, 3]]", [[1.5, "NaN"], [2.0, 3.0]]),
        ("ARRAY['a,b', NULL, 'NULL', '']", ["a,b", None, "NULL", ""]),
        ("ARRAY[timestamptz '2026-03-10 00:00+00']", ["2026-03-10T00:00:00Z"]),
        ("ARRAY['10.0.0.1'::inet]", ["10.0.0.1"]),
        ("ARRAY[]::int[]", []),
        ("'{\"a\": [1, null]}'::jsonb", {"a": [1, None]}),
        ("'[1.10]'::json", [1.1]),
        ("numrange(1, 2)", "[1,2)"),
        ("ROW(1, 'a')", "(1,a)"),
        ("'00000000-0000-0000-0000-000000000001'::uuid", "00000000-0000-0000-0000-000000000001"),
        ("'a'::name", "a"),
        ("pg_sleep(0)", ""),
    ],
)  # fmt: skip
def test_values_are_what_json_can_hold(sender: Sender, expression: str, expected: object) -> None:
    assert value(sender, expression) == expected


def test_numbers_keep_their_digits(sender: Sender) -> None:
    digits = "12345678901234567890.1234567890123456789"
    answer = sender.answer("POST", "/query", {"sql": f"SELECT {digits}, ARRAY[{digits}]"})
    assert f"[{digits},[{digits}]]" in answer.get_data(as_text=True)


def test_as_csv(sender: Sender) -> None:
    statement = """
        SELECT '=1+1' AS "@a", -5 AS b, -1.50::numeric AS c, NULL AS d, 'x"y' AS e, false AS f, ARRAY[1,2] AS g
    """
    answer = sender.answer("POST", "/query", {"sql": statement}, format="csv")
    assert answer.content_type.startswith("text/csv")
    assert answer.get_data(as_text=True) == (
        '\'@a,b,c,d,e,f,g\r\n\'=1+1,-5,-1.50,,"x""y",false,"[1,2]"\r\n'
    )


def test_rows_are_capped(sender: Sender) -> None:
    many = {"sql": "SELECT n FROM generate_series(1, 20000) AS n", "limit": 10_000}
    body = sender.send("POST", "/query", many)
    assert (body["count"], body["truncated"], body["rows"][-1]) == (10_000, True, [10_000])
    exact = sender.send(
        "POST", "/query", {"sql": "SELECT n FROM generate_series(1, 7) AS n", "limit": 7}
    )
    assert (exact["count"], exact["truncated"]) == (7, False)


def test_size_is_capped(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    # A hundredth of the limit: 100 MB may not be made within 5 s.
    monkeypatch.setattr(adhoc, "MOST_BYTES", adhoc.MOST_BYTES // 100)
    body = sender.send(
        "POST", "/query", {"sql": "SELECT repeat('x', 10000) FROM generate_series(1, 100)"}
    )
    assert body["truncated"]
    assert 10 < body["count"] < 20


WRITES = [
    ("INSERT INTO system_config VALUES ('a', 'b')", ("42P11", "25006", "42501")),
    ("INSERT INTO system_config VALUES ('a', 'b') RETURNING key", ("25006", "42501")),
    ("UPDATE system_config SET value = 'x' RETURNING key", ("25006", "42501")),
    ("DELETE FROM system_config RETURNING key", ("25006", "42501")),
    (
        "WITH w AS (DELETE FROM analytics_metrics_1min RETURNING service) TABLE w",
        ("25006", "42501", "0A000"),
    ),
    ("CREATE TABLE t (a int)", ("42P11",)),
    ("CREATE TEMPORARY TABLE t AS SELECT 1", ("42P11", "42601")),
    ("SELECT 1 AS a INTO t", ("42P11", "0A000", "25006", "42601")),
    ("TRUNCATE system_config", ("42P11",)),
    ("DROP TABLE system_config", ("42P11",)),
    ("SELECT nextval('analytics_alerts_id_seq')", ("25006", "42501")),
    ("SELECT setval('analytics_alerts_id_seq', 7)", ("25006", "42501")),
    ("SELECT * FROM analytics_metrics_1min FOR UPDATE", ("25006", "42501", "0A000")),
    ("SELECT analytics_archive_old_data()", ("25006", "42501")),
    ("LOCK TABLE system_config", ("42P11",)),
    ("COPY system_config TO STDOUT", ("42P11",)),
    ("COPY (SELECT 1) TO PROGRAM 'true'", ("42P11",)),
    ("DO $$ BEGIN PERFORM 1; END $$", ("42P11",)),
    ("CALL nothing()", ("42P11", "42883", "42601")),
    ("SET ROLE stacklens_admin", ("42P11",)),
    ("SET SESSION AUTHORIZATION stacklens_admin", ("42P11",)),
    ("SELECT set_config('role', 'stacklens_admin', false)", ("42501",)),
    ("SELECT set_config('session_authorization', 'stacklens_admin', false)", ("42501",)),
    ("SELECT set_config('transaction_read_only', 'off', true)", ("25001",)),
    ("SELECT pg_read_file('/etc/passwd')", ("42501",)),
    ("BEGIN", ("42P11",)),
    ("COMMIT", ("42P11",)),
    ("SELECT 1; SELECT 2", ("42P11",)),
    ("SELECT 1; COMMIT; SELECT 2", ("42P11",)),
    ("COMMIT; DELETE FROM system_config", ("42P11",)),
    ("", ("42P11",)),
    ("-- nothing", ("42P11",)),
    (";", ("42P11",)),
    ("SELECT $1", ("42P02",)),
    ("SELEC 1", ("42601",)),
    ("SELECT 1/0", ("22012",)),
    ("SELECT * FROM no_such_table", ("42P01",)),
    ("SELECT ''';--", ("42601",)),
    ("SELECT $$", ("42601",)),
]


@pytest.mark.parametrize(("statement", "codes"), WRITES)
def test_what_is_no_read_is_refused(
    sender: Sender, filled: Database, statement: str, codes: tuple[str, ...]
) -> None:
    before = contents(filled)
    if not statement:
        sender.send("POST", "/query", {"sql": statement}, expect=400)
    else:
        body = refused(sender, statement)
        assert body["sqlstate"] in codes, body
        assert "stacklens.statement" not in json.dumps(body)
    assert contents(filled) == before


def contents(database: Database) -> list[tuple[Any, ...]]:
    return database.rows(
        "SELECT (SELECT count(*) FROM system_config), (SELECT count(*) FROM analytics_metrics_1min),"
        " (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),"
        " (SELECT last_value FROM analytics_alerts_id_seq), (SELECT count(*) FROM pg_largeobject_metadata)"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_notify('a', 'b')",
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "SELECT set_config('statement_timeout', '0', false)",
        "SELECT pg_advisory_lock(4711)",
        "SELECT set_config('client_encoding', 'LATIN1', false), 'ü'",
    ],
)
def test_what_a_statement_leaves_goes_with_its_connection(
    sender: Sender, filled: Database, statement: str
) -> None:
    before = contents(filled)
    assert sender.answer("POST", "/query", {"sql": statement}).status_code in (200, 400)
    assert contents(filled) == before
    gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = %s"
    wait_until(
        lambda: filled.rows(gone, NAME, filled.name) == [(0,)], 60, "the connection is closed"
    )
    assert filled.rows(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ) == [(0,)]
    assert value(sender, "current_setting('default_transaction_read_only')") == "on"


def test_it_is_the_reader_in_a_read_only_transaction(sender: Sender) -> None:
    assert value(sender, "current_user::text") == "stacklens_reader"
    assert value(sender, "session_user::text") == "stacklens_reader"
    assert value(sender, "current_setting('transaction_read_only')") == "on"


def test_the_role_alone_refuses_writes(filled: Database, app: Flask) -> None:
    """Without the READ ONLY transaction, too."""
    params = app.extensions["stacklens"].reader.params
    connection = filled.connect(user=params.user, password=params.password)
    for table in ("system_config", "analytics_metrics_1min", "analytics_alerts"):
        with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608
    connection.close()


def test_five_seconds_are_enough(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard_api.adhoc.TIMEOUT_MS", 200)
    for statement in (
        "SELECT pg_sleep(60)",
        # what it sets is for later statements, of which there are none
        "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)",
        "SELECT set_config('statement_timeout', '0', false) FROM generate_series(1, 600)"
        " UNION ALL SELECT pg_sleep(60)::text",
    ):
        assert refused(sender, statement)["sqlstate"] == "57014"


def test_only_so_many_at_once(sender: Sender, app: Flask) -> None:
    places = app.extensions["stacklens"].adhoc._places  # pylint: disable=protected-access
    for _ in range(2):
        assert places.acquire(blocking=False)
    busy = sender.answer("POST", "/query", {"sql": "SELECT 1"})
    for _ in range(2):
        places.release()
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "2")
    assert value(sender, "1") == 1


def test_a_statement_that_ends_its_own_connection(sender: Sender) -> None:
    answer = sender.answer(
        "POST", "/query", {"sql": "SELECT pg_terminate_backend(pg_backend_pid())"}
    )
    assert answer.status_code == 503
    assert value(sender, "1") == 1


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "sql"),
        ({"sql": 1}, "sql"),
        ({"sql": "SELECT 1", "limit": 10_001}, "limit"),
        ({"sql": "SELECT 1", "limit": "7"}, "limit"),
        ({"sql": "SELECT 1", "role": "x"}, "role"),
        ({"sql": "SELECT '\0'"}, "sql"),
        ([], "body"),
    ],
)
def test_bodies_that_cannot_be_used(sender: Sender, body: object, parameter: str) -> None:
    problem = sender.send("POST", "/query", body, expect=400)
    assert [error["parameter"] for error in problem["errors"]] == [parameter]


def test_only_admins(app: Flask) -> None:
    Sender(app.test_client(), READER).send("POST", "/query", {"sql": "SELECT 1"}, expect=403)
