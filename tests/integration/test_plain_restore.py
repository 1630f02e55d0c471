"""Backup and restore as the checklist has them, line by line, and beside `stacklens backup` and `restore`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.database_contents import contents, objects
from tests.databases import Database, maintenance
from tests.integration.backups import Program, usable

both = pytest.mark.both_postgres


def shell(line: str, database: Database, programs: Path, directory: Path) -> str:
    """Run a line as an operator types it, the password in ~/.pgpass; what it wrote to standard error."""
    stack = database.stack
    pgpass = directory / ".pgpass"
    pgpass.write_text(f"{stack.db_host}:{stack.db_port}:*:{stack.db_user}:{stack.db_password}\n")
    pgpass.chmod(0o600)
    done = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", line],
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(directory),
            "PGPASSFILE": str(pgpass),
            "PGPORT": str(stack.db_port),  # theirs is 5432
        },
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@both
def test_the_checklist_s_lines_work_as_typed(
    stacklens: Program,
    programs: Path,
    make_database: Callable[[str], Database],
    tmp_path: Path,
) -> None:
    """pg_dump | gzip, dropdb and createdb, zcat | psql: no error, nothing different, and the schema is complete."""
    source, target = stacklens.database, make_database("template0")
    at = f"-h {source.stack.db_host} -U {source.stack.db_user}"
    before, made = contents(source), objects(source)
    shell(f"pg_dump {at} -d {source.name} | gzip > backup.sql.gz", source, programs, tmp_path)
    shell(f"dropdb {at} --force {target.name}", source, programs, tmp_path)
    shell(f"createdb {at} {target.name}", source, programs, tmp_path)
    said = shell(f"zcat backup.sql.gz | psql {at} -d {target.name}", source, programs, tmp_path)
    assert "ERROR" not in said
    assert contents(target) == before
    # A process that starts takes away what TimescaleDB may have added to the chunks a second time.
    status, output, errors = stacklens("migrate", "up", on=target)
    assert (status, errors) == (0, "")
    assert "applied" not in output
    assert objects(target) == made
    usable(target)
    # Not compressed, as the checklist has it too.
    shell(f"pg_dump {at} -d {source.name} > backup.sql", source, programs, tmp_path)
    shell(f"dropdb {at} --force {target.name}", source, programs, tmp_path)
    shell(f"createdb {at} {target.name}", source, programs, tmp_path)
    said = shell(f"psql {at} -d {target.name} < backup.sql", source, programs, tmp_path)
    assert "ERROR" not in said
    assert contents(target) == before


@both
def test_a_plain_restore_whose_session_forgot_what_it_knew_is_put_right(
    stacklens: Program,
    programs: Path,
    make_database: Callable[[str], Database],
    tmp_path: Path,
) -> None:
    source, target = stacklens.database, make_database("template0")
    at = f"-h {source.stack.db_host} -U {source.stack.db_user}"
    before, made = contents(source), objects(source)
    shell(f"pg_dump {at} -d {source.name} > backup.sql", source, programs, tmp_path)
    whole = (tmp_path / "backup.sql").read_text()
    # The rows are in, the constraints and indexes are not: a new session stands for the one that forgot.
    middle = whole.index("ADD CONSTRAINT", whole.rindex("\n\\.\n"))
    middle = whole.rindex("\n\\.\n", 0, middle) + len("\n\\.\n")
    (tmp_path / "rows.sql").write_text(whole[:middle])
    (tmp_path / "rest.sql").write_text(
        "SELECT set_config('search_path', '', false);\n" + whole[middle:]
    )
    for part in ("rows.sql", "rest.sql"):
        said = shell(f"psql {at} -d {target.name} < {part}", source, programs, tmp_path)
        assert "ERROR" not in said
    assert contents(target) == before
    assert len(objects(target)) > len(made)
    new_event = """
        INSERT INTO analytics_events (timestamp, service, level, topic_incarnation, kafka_partition, kafka_offset)
        VALUES (now(), 'new', 'info', 9, 9, 8)
    """
    with pytest.raises(
        psycopg2.errors.FeatureNotSupported, match="invalid INSERT on the root table"
    ):
        target.execute(new_event)
    status, output, errors = stacklens("migrate", "up", on=target)
    assert (status, errors) == (0, "")
    assert "_hyper_1_1_chunk refused rows" in output
    assert (
        "had an index twice: _timescaledb_internal._hyper_1_1_chunk_analytics_events_timestamp_idx_1"
        in output
    )
    assert objects(target) == made
    assert contents(target) == before
    target.execute(new_event)
    usable(target)
    status, output, errors = stacklens("migrate", "up", on=target)
    assert (status, errors) == (0, "")
    assert "mended" not in output


def test_a_plain_dump_is_what_stacklens_restores_and_the_other_way_round(
    stacklens: Program,
    programs: Path,
    make_database: Callable[[str], Database],
    tmp_path: Path,
) -> None:
    source, one, two = stacklens.database, make_database("template0"), make_database("template0")
    at = f"-h {source.stack.db_host} -U {source.stack.db_user}"
    shell(f"pg_dump {at} -d {source.name} | gzip > plain.sql.gz", source, programs, tmp_path)
    assert stacklens("restore", tmp_path / "plain.sql.gz", "--confirm", on=one)[0] == 0
    shutil.copy(stacklens.taken(), tmp_path / "ours.sql.gz")
    said = shell(f"zcat ours.sql.gz | psql {at} -d {two.name}", source, programs, tmp_path)
    assert "ERROR" not in said
    assert contents(one) == contents(two) == contents(source)


@both
def test_archiving_works_on_what_was_restored(stacklens: Program, empty_database: Database) -> None:
    assert stacklens("restore", stacklens.taken(), "--confirm", on=empty_database)[0] == 0
    status, output, errors = stacklens("archive", on=empty_database)
    assert (status, errors) == (0, "")
    assert "dropped" in output or "nothing to drop" in output
    oldest: Any = empty_database.rows("SELECT min(timestamp) FROM analytics_events")[0][0]
    assert oldest >= datetime.now(UTC) - timedelta(days=2)
    maintenance(empty_database.stack)  # the server lives
