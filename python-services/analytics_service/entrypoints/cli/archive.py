"""`stacklens archive`: drop what the retention tiers keep no longer."""

from __future__ import annotations

from pathlib import Path

import click

from analytics_service.adapters.timescale.archive import archive_old_data
from analytics_service.config import load_settings
from analytics_service.entrypoints.cli.report import write_json


@click.command("archive")
@click.option(
    "--output-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what was dropped to this file.",
)
def archive(output_json: Path | None) -> None:
    """Drop raw events, windows and settled records that are older than their tier keeps.

    The days to keep are those the analytics service runs with (RETENTION_HOT, RETENTION_WARM, RETENTION_COLD), as it
    wrote them to the database. Safe at any time and under load; cron runs it every night. The same as
    SELECT analytics_archive_old_data();

    \b
    Examples:
      stacklens archive
      stacklens archive --output-json archived.json
    """
    archived = archive_old_data(load_settings())
    for line in archived.lines:
        click.echo(line)
    if output_json is not None:
        write_json(output_json, archived.report)
