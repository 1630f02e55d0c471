"""`stacklens restore` with PostgreSQL's own programs, and what can go wrong with it."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from devstack.api import Stack
from tests.database_contents import contents, objects
from tests.databases import Database
from tests.integration.backups import DAYS, ROWS_A_DAY, Program, usable

both = pytest.mark.both_postgres


def sequences(database: Database) -> dict[str, int]:
    """The next number of each sequence, at least."""
    return dict(
        database.rows(
            "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
        )
    )


@both
def test_what_was_backed_up_is_there_again(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    before, made = contents(stacklens.database), objects(stacklens.database)
    file = stacklens.taken()
    status, output, errors = stacklens(
        "restore", file, "--confirm", "--output-json", tmp_path / "report.json", on=empty_database
    )
    assert status == 0, errors
    assert contents(empty_database) == before
    assert objects(empty_database) == made
    assert "as many rows as were backed up, 4 hypertables" in output
    assert re.search(rf"public\.analytics_events +{DAYS * ROWS_A_DAY}\n", output)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rows"]["public.analytics_dead_letters"] == 7
    assert report["applied"] == []
    # Numbers given out since the backup are never given to anything else.
    numbers = sequences(empty_database)
    assert numbers.pop("analytics_dead_letters_id_seq") == 1_000_000_000
    assert set(numbers.values()) == {1_000_000}
    usable(empty_database)
    assert stacklens("migrate", "status", on=empty_database)[0] == 0


def test_sequences_skip_a_round_number_beyond_what_they_had(
    stacklens: Program, empty_database: Database
) -> None:
    stacklens.database.execute("SELECT setval('analytics_alerts_id_seq', 3000017)")
    stacklens("restore", stacklens.taken(), "--confirm", on=empty_database)
    assert sequences(empty_database)["analytics_alerts_id_seq"] == 4_000_000


def test_plain_sql_is_restored_as_well(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    """Also without what `stacklens backup` notes behind it: then nobody knows how many rows there should be."""
    text = gzip.decompress(stacklens.taken().read_bytes())
    plain = tmp_path / "plain.sql"
    plain.write_bytes(text[: text.rindex(b"-- StackLens backup: ")])
    status, output, errors = stacklens("restore", plain, "--confirm", on=empty_database)
    assert status == 0, errors
    assert contents(empty_database) == contents(stacklens.database)
    assert "nobody counted its rows" in output


def test_without_confirm_everything_is_looked_at_and_nothing_done(
    stacklens: Program, empty_database: Database
) -> None:
    status, output, errors = stacklens("restore", stacklens.taken(), on=empty_database)
    assert status == 2
    assert "is whole: database " in output
    assert "add --confirm" in errors
    assert contents(empty_database) == {}


def test_a_database_that_is_not_empty_is_refused(stacklens: Program) -> None:
    file, before = stacklens.taken(), contents(stacklens.database)
    for confirm in ([], ["--confirm"]):
        status, _, errors = stacklens("restore", file, *confirm)
        assert status == 1
        assert re.search(r"is not empty: \d\d tables, such as public\.\w+\. Rows", errors)
        name, stack = stacklens.database.name, stacklens.database.stack
        where = f"-h {stack.db_host} -p {stack.db_port} -U {stack.db_user}"
        assert f"  dropdb {where} --force {name}\n  createdb {where} {name}\n" in errors
    assert contents(stacklens.database) == before


def test_a_table_of_somebody_else_is_enough_to_refuse(
    stacklens: Program, empty_database: Database
) -> None:
    empty_database.execute("CREATE TABLE theirs ()")
    status, _, errors = stacklens("restore", stacklens.taken(), "--confirm", on=empty_database)
    assert status == 1
    assert "1 tables, such as public.theirs" in errors


def test_a_missing_database_is_told_with_the_line_that_makes_it(stacklens: Program) -> None:
    missing = Database(stacklens.database.stack, "not_there")
    status, _, errors = stacklens("restore", stacklens.taken(), "--confirm", on=missing)
    assert status == 1
    assert re.search(
        r"there is no database not_there\. Make it:\n  createdb -h .* not_there\n", errors
    )


def test_no_superuser_may_restore(
    stacklens: Program, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stacklens.taken()
    monkeypatch.setenv("DB_USER", "stacklens_admin")
    with closing(empty_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = 'stacklens_admin'")
        assert cursor.rowcount == 1
    from analytics_service.config import load_settings

    settings = load_settings({**stacklens.database.env, "APP_ENV": "test"}, env_file=None)
    monkeypatch.setenv("DB_PASSWORD", settings.admin_password)
    status, _, errors = stacklens("restore", file, "--confirm", on=empty_database)
    assert status == 1
    assert "stacklens_admin is no superuser" in errors


@pytest.mark.slow
def test_a_new_cluster_has_no_roles_and_gets_them(
    stacklens: Program, private_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dump grants rights to roles; roles belong to the cluster and are in no dump."""
    file, target = stacklens.taken(), Database(private_stack, private_stack.db_name)
    assert target.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE 'stacklens_%%'") == [
        (private_stack.db_user,)
    ]
    for name, value in target.env.items():
        monkeypatch.setenv(name, value)
    status, _, errors = stacklens("restore", file, "--confirm", on=target)
    assert status == 0, errors
    assert contents(target) == contents(stacklens.database)
    usable(target)


def damaged(file: Path) -> Iterator[tuple[str, bytes, str]]:
    """Names, bytes and complaints of files that are no backups any more."""
    whole = file.read_bytes()
    text = gzip.decompress(whole)
    end = text.index(b"\n-- PostgreSQL database dump complete\n")
    yield "cut.sql.gz", whole[: len(whole) // 2], "is damaged"
    yield "bit.sql.gz", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], "is damaged"
    yield "short.sql", text[: end - 100], "is cut short"
    yield "short.sql.gz", gzip.compress(text[: end - 100]), "is cut short"
    yield "other.sql", b"SELECT 1;\n", "is no dump"
    yield "custom.dump", b"PGDMP\x01\x0e", "custom format"
    create = b"CREATE DATABASE x;\n\\connect x\n"
    yield "create.sql", text.replace(b"\nSET ", b"\n" + create + b"SET ", 1), "--create"


def test_damaged_and_foreign_files_are_refused_before_anything_is_done(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    for name, data, told in damaged(stacklens.taken()):
        path = tmp_path / name
        path.write_bytes(data)
        status, _, errors = stacklens("restore", path, "--confirm", on=empty_database)
        assert status == 1, name
        assert told in errors, name
        assert str(path) in errors, name
    status, _, errors = stacklens("restore", tmp_path / "absent", on=empty_database)
    assert (status, "No such file" in errors) == (1, True)
    assert (
        empty_database.rows("SELECT extname FROM pg_extension WHERE extname = 'timescaledb'") == []
    )


@both
def test_after_a_failure_in_the_middle_nothing_is_there_and_it_can_be_tried_again(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    file = stacklens.taken()
    text = gzip.decompress(file.read_bytes())
    end = text.index(b"\n-- PostgreSQL database dump complete\n")
    broken = tmp_path / "broken.sql"
    broken.write_bytes(text[:end] + b"\nSELECT 1 / 0;\n" + text[end:])
    status, _, errors = stacklens("restore", broken, "--confirm", on=empty_database)
    assert status == 1
    assert "nothing was restored" in errors
    assert "division by zero" in errors
    assert contents(empty_database) == {}
    assert empty_database.rows("SHOW timescaledb.restoring") == [("off",)]
    assert stacklens("restore", file, "--confirm", on=empty_database)[0] == 0
    assert contents(empty_database) == contents(stacklens.database)


def test_fewer_rows_than_were_backed_up_are_noticed(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    """Such as a dump that somebody has edited."""
    text = gzip.decompress(stacklens.taken().read_bytes())
    edited = tmp_path / "edited.sql"
    edited.write_bytes(re.sub(rb"\n7\tevents\t1\t0\t7\t[^\n]*", b"", text, count=1))
    status, _, errors = stacklens("restore", edited, "--confirm", on=empty_database)
    assert status == 1
    assert "public.analytics_dead_letters 6 rows, 7 wanted" in errors


def test_a_version_of_timescaledb_that_is_not_there(
    stacklens: Program, empty_database: Database, tmp_path: Path
) -> None:
    text = gzip.decompress(stacklens.taken().read_bytes())
    other = tmp_path / "other.sql"
    other.write_bytes(
        re.sub(rb'"timescaledb_version": "[^"]*"', b'"timescaledb_version": "1.7.5"', text)
    )
    status, _, errors = stacklens("restore", other, "--confirm", on=empty_database)
    assert status == 1
    assert "made with TimescaleDB 1.7.5" in errors
    assert contents(empty_database) == {}


def test_one_restore_or_migration_at_a_time(stacklens: Program, empty_database: Database) -> None:
    file = stacklens.taken()
    with closing(empty_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (0x57AC_C0DE_0001,))
        status, _, errors = stacklens("restore", file, "--confirm", on=empty_database)
    assert status == 1
    assert "another process is migrating or restoring" in errors
    assert contents(empty_database) == {}
