"""`stacklens migrate`: bring the database schema up or down, or say where it stands."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from analytics_service.adapters.timescale.migrations import (
    Migrator,
    Status,
    UnknownVersionError,
)
from analytics_service.config import load_settings
from analytics_service.entrypoints.cli.errors import CommandFailed
from analytics_service.entrypoints.cli.report import print_table, write_json

report_option = click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)


@click.group()
def migrate() -> None:
    """Bring the database schema up, down, or check it.

    The files come from SQL_DIR, the database from DB_HOST, DB_PORT, DB_NAME, DB_USER and
    DB_PASSWORD. Every process of the product runs `up` by itself at start.

    \b
    Examples:
      stacklens migrate up
      stacklens migrate status
      stacklens migrate check --skip-db-check
      stacklens migrate down --to 3 --dry-run
    """


@migrate.command("up")
@report_option
def up(output_json: Path | None) -> None:
    """Apply what is pending; waits while another process does. Running it again does nothing.

    Also sets the roles' passwords and privileges, and takes away what a restore by psql may leave on the chunks.

    \b
    Examples:
      stacklens migrate up
      stacklens migrate up --output-json migrated.json
    """
    report = Migrator(load_settings()).up()
    for label in (*report.applied, *report.scripts):
        click.echo(f"applied {label}")
    for line in report.mended:
        click.echo(f"mended after a restore: {line}")
    click.echo(f"The database is at version {report.version}.")
    if output_json is not None:
        write_json(output_json, asdict(report))


@migrate.command("down")
@click.option("--to", "version", type=click.IntRange(min=0), required=True, help="Version to keep.")
@click.option("--dry-run", is_flag=True, help="Only say what would be reverted.")
@click.option("--confirm", is_flag=True, help="Revert. The tables' data are lost.")
@report_option
def down(version: int, dry_run: bool, confirm: bool, output_json: Path | None) -> None:
    """Revert every migration above a version, newest first, with the data in its tables.

    Functions and views are taken away too; the next `up` brings them back. Roles stay.

    \b
    Examples:
      stacklens migrate down --to 3 --dry-run
      stacklens migrate down --to 3 --confirm
    """
    if dry_run == confirm:
        raise click.UsageError("Give either --dry-run or --confirm.")
    try:
        report = Migrator(load_settings()).down(version, dry_run=dry_run)
    except UnknownVersionError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None
    verb = "would revert" if dry_run else "reverted"
    for label in (*report.scripts, *report.reverted):
        click.echo(f"{verb} {label}")
    click.echo(f"The database {'would be' if dry_run else 'is'} at version {report.version}.")
    if output_json is not None:
        write_json(output_json, asdict(report))


@migrate.command("status")
@report_option
def status(output_json: Path | None) -> None:
    """Say what is applied and what is pending. Exit status 1 when the schema has drifted.

    \b
    Examples:
      stacklens migrate status
      stacklens migrate status --output-json status.json
    """
    found = Migrator(load_settings()).status()
    drifted = {drift.version: drift.kind for drift in found.drift}
    rows = [
        (f"{row.version:04d}", drifted.get(row.version, "applied"), row.applied_at.isoformat())
        for row in found.applied
    ]
    rows += [(label, "pending", "") for label in (*found.pending, *found.pending_scripts)]
    print_table(("MIGRATION", "STATE", "APPLIED AT"), rows)
    if output_json is not None:
        write_json(output_json, found.as_dict())
    _fail_on_drift(found)


@migrate.command("check")
@click.option("--skip-db-check", is_flag=True, help="Look at the files only.")
@report_option
def check(skip_db_check: bool, output_json: Path | None) -> None:
    """Check the files (names, pairs, numbering) and that no applied migration has drifted.

    Exit status 1 when there is a problem. Pending migrations are none.

    \b
    Examples:
      stacklens migrate check --skip-db-check
      stacklens migrate check --output-json migration-report.json
    """
    report = Migrator(load_settings()).check(skip_database=skip_db_check)
    if output_json is not None:
        write_json(output_json, report.as_dict())
    if report.problems:
        raise CommandFailed("\n  ".join([f"{len(report.problems)} problem(s):", *report.problems]))
    scope = "files" if skip_db_check else "files and database"
    click.echo(f"{len(report.checksums)} migrations, no problem found ({scope} checked).")


def _fail_on_drift(found: Status) -> None:
    if found.drift:
        lines = [f"{drift.version:04d}: {drift.detail}" for drift in found.drift]
        raise CommandFailed("\n  ".join(["the schema has drifted:", *lines]))
