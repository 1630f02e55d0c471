"""What a worker tells of the things around it: how old the last backup is, and how full its disk."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
LAST = "stacklens_last_backup_timestamp_seconds"
FOLLOWS_S = 30.0


def test_the_time_of_the_last_backup(way: WholeWay) -> None:
    """A new installation counts from when the notes of backups began, then the newest backup counts."""
    (file,) = (ROOT / "sql" / "migrations").glob("*_backups_made.up.sql")
    ((began,),) = way.database.rows(
        "SELECT applied_at FROM schema_migrations WHERE version = %s", int(file.name[:4])
    )
    worker = way.start().wait_ready()
    wait_until(lambda: worker.metric(LAST) == began.timestamp(), FOLLOWS_S, "none was made yet")
    newest = datetime.now(UTC) - timedelta(hours=3)
    for name, at in (("older", newest - timedelta(days=1)), ("newest", newest)):
        way.database.execute("INSERT INTO backups_made VALUES (%s, %s, 1)", name, at)
    wait_until(lambda: worker.metric(LAST) == newest.timestamp(), FOLLOWS_S, "the gauge follows")


def test_the_room_on_the_disk(way: WholeWay) -> None:
    worker = way.start().wait_ready()
    found = os.statvfs("/")
    size, block = found.f_blocks * found.f_frsize, found.f_frsize
    wait_until(
        lambda: worker.metric("stacklens_disk_size_bytes") == size, FOLLOWS_S, "it was measured"
    )
    free = worker.metric("stacklens_disk_free_bytes")
    # Others write to it, too; what only root may use is not free.
    assert abs(free - os.statvfs("/").f_bavail * block) < max(2 * 1024**3, size / 50)
