"""Dropping what each retention tier keeps no longer; the database does it, in one transaction."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.config import Settings

# The report is used twice, the dropping is to happen once: a volatile function keeps its subquery whole.
_ARCHIVE = """
    SELECT done.report, ARRAY(SELECT stacklens.archive_lines(done.report))
    FROM (SELECT stacklens.archive_old_data() AS report) AS done
"""


@dataclass(frozen=True, slots=True)
class Archived:
    """What was dropped: for programs (tiers, counts, compression), and a line of text for each tier."""

    report: dict[str, Any]
    lines: list[str]


def archive_old_data(settings: Settings) -> Archived:
    """Drop what is older than RETENTION_HOT, _WARM and _COLD of `system_config`, as the schema's owner.

    Waits for flushes and readers in the way, for about half a minute in all; then raises psycopg2's LockNotAvailable
    and nothing was dropped. Raises psycopg2 errors.
    """
    opened = parameters(settings, application_name="stacklens-archive", statement_timeout_ms=0)
    with contextlib.closing(opened.connect()) as conn:
        with conn.cursor() as cur:
            cur.execute(_ARCHIVE)
            ((report, lines),) = cur.fetchall()
        conn.commit()
    return Archived(report, lines)
