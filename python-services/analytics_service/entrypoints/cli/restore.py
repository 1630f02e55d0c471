"""`stacklens restore`: a dump into an empty database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from analytics_service.adapters.timescale.restore import Plan, Restored, plan_restore, restore
from analytics_service.config import Settings, load_settings
from analytics_service.entrypoints.cli.interrupting import sigterm_interrupts
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import print_table, write_json


@click.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--confirm", is_flag=True, help="Restore. Without it everything is only looked at.")
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def restore_command(file: Path, confirm: bool, output_json: Path | None) -> None:
    """Restore FILE, a dump in plain SQL (.sql or .sql.gz), into the empty database that DB_NAME names.

    A dump runs as a superuser: restore only files that you trust. It is one transaction: when anything fails nothing
    was restored. Afterwards rows are counted and compared with what `stacklens backup` counted, and the schema is
    brought up to date. Workers read on from the stored offsets.

    \b
    Examples:
      dropdb -h localhost -U stacklens_user --force stacklens
      createdb -h localhost -U stacklens_user stacklens
      stacklens restore /backups/stacklens_20260131_020000.sql.gz
      stacklens restore /backups/stacklens_20260131_020000.sql.gz --confirm
    """
    settings = load_settings()
    with sigterm_interrupts():
        plan = _look(settings, file)
        click.echo(f"restore: {_about(plan)}")
        if not confirm:
            raise click.UsageError(
                f"Nothing was done yet. It can be restored into {settings.db_name}: add --confirm."
            )
        done = _restore(settings, plan)
    _tell(plan, done, settings.db_name)
    if output_json is not None:
        write_json(output_json, {"file": str(file), "note": plan.note.values, **asdict(done)})


def _look(settings: Settings, file: Path) -> Plan:
    progress = Progress("restore: checked", file.stat().st_size)
    try:
        return plan_restore(settings, file, progress.update)
    finally:
        progress.finish()


def _restore(settings: Settings, plan: Plan) -> Restored:
    progress = Progress("restore: read", plan.file.stat().st_size)
    try:
        return restore(settings, plan, progress.update)
    finally:
        progress.finish()


def _about(plan: Plan) -> str:
    note = plan.note.values
    if not note:
        return f"{plan.file} is whole (made by pg_dump alone: nobody counted its rows)"
    return (
        f"{plan.file} is whole: database {note['database']}, {note['taken_at']}, "
        f"version {note['schema_version']}, PostgreSQL {note['server_version']}, "
        f"TimescaleDB {note['timescaledb_version']}"
    )


def _tell(plan: Plan, done: Restored, database: str) -> None:
    print_table(("TABLE", "ROWS"), [(name, f"{rows:,}") for name, rows in done.rows.items()])
    for label in done.applied:
        click.echo(f"applied {label}")
    counted = "as many rows as were backed up" if plan.note.rows is not None else "rows as above"
    click.echo(
        f"restored into {database}: {done.seconds:.1f} s, {counted}, {len(done.hypertables)} hypertables, "
        f"version {done.version}."
    )
