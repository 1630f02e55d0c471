"""`stacklens backup`: a dump of the database, checked, kept for some time, and copied elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psycopg2

from analytics_service.adapters.timescale.backup import (
    Backup,
    backup_directory,
    remove_old,
    take_backup,
    upload,
)
from analytics_service.adapters.timescale.backups_made import note_backup
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.errors import BackupError
from analytics_service.config import Settings, load_settings
from analytics_service.entrypoints.cli.interrupting import sigterm_interrupts
from analytics_service.entrypoints.cli.progress import Progress
from analytics_service.entrypoints.cli.report import write_json


@dataclass(slots=True)
class BackupReport:
    """What `--output-json` writes; `note` is what stands in the file itself."""

    file: str
    bytes: int
    seconds: float
    noted: bool
    uploaded: bool
    removed: list[str]
    note: dict[str, Any]


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the files are kept; default BACKUP_DIRECTORY.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(min=1),
    help="Remove backups older than that afterwards; default BACKUP_DAYS.",
)
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file as JSON as well.",
)
def backup(directory: Path | None, keep_days: int | None, output_json: Path | None) -> None:
    """Back the database up into a file, NAME_YYYYMMDD_HHMMSS.sql.gz (UTC).

    Plain SQL by pg_dump, of one moment, whatever is written meanwhile. The file gets its name when it was read from
    end to end and is whole, and the database notes that there is one: an alert tells when the last is too old. Then
    BACKUP_UPLOAD_COMMAND runs, if there is one, and old files are removed: files of that name alone. Needs pg_dump of
    the server's major version or newer (PATH, /usr/lib/postgresql, PG_CLIENT_DIRECTORY).

    \b
    Examples:
      stacklens backup
      stacklens backup --directory /backups --keep-days 30
      BACKUP_UPLOAD_COMMAND='/opt/copy-to-s3' stacklens backup --output-json backup.json
    """
    settings = load_settings()
    place = directory or Path(settings.backup_directory)
    with sigterm_interrupts(), backup_directory(place):
        taken = _take(settings, place)
        click.echo(_sentence(taken))
        report = BackupReport(
            str(taken.file), taken.size, taken.seconds, False, False, [], taken.note
        )
        try:
            failed = _note(settings, taken, report)
            if settings.backup_upload_command:
                upload(settings.backup_upload_command, taken.file)
                report.uploaded = True
                click.echo("backup: BACKUP_UPLOAD_COMMAND has run")
            days = keep_days or settings.backup_days
            report.removed = remove_old(settings.db_name, place, days, datetime.now(UTC))
            for name in report.removed:
                click.echo(f"backup: removed {name}, older than {days} days")
            if failed:
                raise BackupError(f"the backup {taken.file} was made, but not noted: see above")
        finally:
            if output_json is not None:
                write_json(output_json, asdict(report))


def _take(settings: Settings, place: Path) -> Backup:
    dumping, checking = Progress("backup: bytes written"), Progress("backup: bytes checked")
    try:
        return take_backup(settings, place, datetime.now(UTC), dumping.update, checking.update)
    finally:
        dumping.finish()
        checking.finish()


def _note(settings: Settings, taken: Backup, report: BackupReport) -> bool:
    """Tell the database of the backup. Whether that failed: told at once, for the upload may fail as well."""
    try:
        report.noted = note_backup(settings, taken.file.name, taken.size)
    except psycopg2.Error as error:
        click.echo(
            "backup: the file is whole, but the database could not note it, so an alert about its age may be wrong: "
            + parameters(settings).why(error),
            err=True,
        )
        return True
    if not report.noted:
        click.echo("backup: not noted in the database, whose schema is older than this program")
    return False


def _sentence(taken: Backup) -> str:
    rows: dict[str, int] = taken.note["rows"]
    return (
        f"backup: {taken.file}, {taken.size:,} bytes in {taken.seconds:.1f} s: "
        f"{sum(rows.values()):,} rows in {len(rows)} tables, read back and whole"
    )
