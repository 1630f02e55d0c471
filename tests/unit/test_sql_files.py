"""The files under sql/: how they are read, what is refused, and that the product's own are sound."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from analytics_service.adapters.timescale.sql_files import (
    SqlFilesError,
    inspect_sql_files,
    read_sql_files,
)

OWN_FILES = Path(__file__).resolve().parents[2] / "sql"


def write(sql_dir: Path, *names: str, text: str = "SELECT 1;\n") -> None:
    """Files with the same text."""
    for name in names:
        path = sql_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def sql_dir(tmp_path: Path) -> Path:
    """Two migrations and one function, all sound."""
    write(
        tmp_path,
        "migrations/0001_first.up.sql",
        "migrations/0001_first.down.sql",
        "migrations/0002_second.up.sql",
        "migrations/0002_second.down.sql",
        "functions/helper.up.sql",
        "functions/helper.down.sql",
    )
    return tmp_path


def test_reads_pairs_in_order_with_the_checksum_of_the_up_file(sql_dir: Path) -> None:
    """The checksum is SHA-256 over the bytes of the up file, as `sha256sum` prints it."""
    write(sql_dir, "migrations/0001_first.up.sql", text="CREATE TABLE a (b text);\n")
    files = read_sql_files(sql_dir)
    assert [migration.label for migration in files.migrations] == ["0001_first", "0002_second"]
    first = files.migrations[0]
    assert (first.up, first.down) == ("CREATE TABLE a (b text);\n", "SELECT 1;\n")
    assert first.checksum == hashlib.sha256(b"CREATE TABLE a (b text);\n").hexdigest()
    assert [script.path for script in files.scripts] == ["functions/helper"]


def test_functions_come_before_views_each_in_order_of_name(sql_dir: Path) -> None:
    """Views may stand on functions; a name decides within a directory."""
    for name in ("views/a", "functions/z", "functions/b", "views/0"):
        write(sql_dir, f"{name}.up.sql", f"{name}.down.sql")
    paths = [script.path for script in read_sql_files(sql_dir).scripts]
    assert paths == ["functions/b", "functions/helper", "functions/z", "views/0", "views/a"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        # a half of a pair is missing
        ({"migrations/0002_second.down.sql": None}, "migrations/0002_second.down.sql is missing"),
        ({"migrations/0002_second.up.sql": None}, "migrations/0002_second.up.sql is missing"),
        ({"functions/helper.down.sql": None}, "functions/helper.down.sql is missing"),
        # the numbers have a gap, or two files share one
        (
            {
                "migrations/0004_late.up.sql": "SELECT 1",
                "migrations/0004_late.down.sql": "SELECT 1",
            },
            "migrations are not numbered from 0001 without gaps or repeats: [1, 2, 4]",
        ),
        (
            {
                "migrations/0002_zwei.up.sql": "SELECT 1",
                "migrations/0002_zwei.down.sql": "SELECT 1",
            },
            "migrations are not numbered from 0001 without gaps or repeats: [1, 2, 2]",
        ),
        # names that say neither number nor way
        ({"migrations/3_x.up.sql": "SELECT 1"}, "migrations/3_x.up.sql: not named like"),
        ({"migrations/0003_x.sql": "SELECT 1"}, "migrations/0003_x.sql: not named like"),
        ({"views/v_x.sql": "SELECT 1"}, "views/v_x.sql: not named like"),
        # nothing to run, or not text
        ({"migrations/0002_second.down.sql": " \n"}, "0002_second.down.sql holds no statement"),
        ({"functions/helper.up.sql": "-- SELECT 1;\n"}, "helper.up.sql holds no statement"),
        ({"functions/helper.up.sql": b"SELECT '\xff'"}, "helper.up.sql is not UTF-8"),
        # a file that ends the runner's transaction
        ({"migrations/0001_first.up.sql": "SELECT 1;\ncommit;"}, "begins or ends a transaction"),
        ({"migrations/0001_first.up.sql": "BEGIN;\nSELECT 1;"}, "begins or ends a transaction"),
    ],
)
def test_a_problem_is_named(
    sql_dir: Path, change: dict[str, str | bytes | None], problem: str
) -> None:
    """Each defect is found and told with the file it is in."""
    assert inspect_sql_files(sql_dir)[1] == []
    for name, content in change.items():
        path = sql_dir / name
        path.parent.mkdir(exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = inspect_sql_files(sql_dir)[1]
    assert len(problems) == 1
    assert problem in problems[0]
    with pytest.raises(SqlFilesError) as caught:
        read_sql_files(sql_dir)
    assert caught.value.problems == problems


def test_every_problem_is_reported_at_once(sql_dir: Path) -> None:
    """An operator mends the files once."""
    (sql_dir / "functions/helper.down.sql").unlink()
    write(sql_dir, "migrations/0001_first.up.sql", text="")
    with pytest.raises(SqlFilesError) as caught:
        read_sql_files(sql_dir)
    assert caught.value.problems == [
        "migrations/0001_first.up.sql holds no statement",
        "functions/helper.down.sql is missing",
    ]


def test_plpgsql_blocks_are_no_transactions(sql_dir: Path) -> None:
    """BEGIN without a semicolon opens a block of a function."""
    body = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  NULL;\nEND\n$$;\n"
    write(sql_dir, "functions/helper.up.sql", text=body)
    assert inspect_sql_files(sql_dir)[1] == []


def test_a_directory_without_migrations_is_refused(tmp_path: Path) -> None:
    """An empty SQL_DIR is a mistake, not a schema."""
    assert inspect_sql_files(tmp_path)[1] == [f"no migrations in {tmp_path / 'migrations'}"]


def test_the_products_own_files_are_sound() -> None:
    """What ships passes its own check."""
    assert inspect_sql_files(OWN_FILES)[1] == []


def test_no_migration_drops_roles_or_the_extension() -> None:
    """Both belong to the cluster or to others as well."""
    for migration in read_sql_files(OWN_FILES).migrations:
        words = " ".join(migration.down.lower().split())
        assert "drop role" not in words
        assert "drop extension" not in words
        assert "cascade" not in words
