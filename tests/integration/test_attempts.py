"""Which attempt it is, for messages that tell of something new beside what has failed before."""

from __future__ import annotations

import contextlib
import uuid

from analytics_service.adapters.timescale.deliveries import Telling, begin_attempt, read_view
from tests.alert_rows import add_deliveries, fire, rule
from tests.databases import Database


def test_what_is_new_counts_from_its_own_first_attempt(database: Database) -> None:
    for service in ("old", "new"):
        add_deliveries(database, fire(database, rule(), service))
    database.execute("UPDATE notified_episodes SET notification_channels = '{slack}'")
    first, second = (str(uuid.uuid4()) for _ in range(2))
    with contextlib.closing(database.connect()) as conn, conn.cursor() as cur:
        known = read_view(cur, "slack", 60.0).known.values()
        old, new = sorted(
            (Telling(each, "firing") for each in known),
            key=lambda telling: telling.known.episode.subject.service,
            reverse=True,
        )
        attempts = [begin_attempt(cur, "slack", first, [old], 12.0) for _ in range(3)]
        attempts += [begin_attempt(cur, "slack", second, [old, new], 12.0) for _ in range(2)]
    assert attempts == [1, 2, 3, 1, 2]
