"""Raw events of the bench of the API: every one of the newest minutes, few of the hours before.

A day of 200 services is some 80 million events; so many do not matter to what the API reads (the newest, and those
that windows point to), and would take an hour to lay out.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Final

import numpy as np
from psycopg2 import sql
from psycopg2.extensions import connection

from analytics_service.adapters.timescale.event_copy_text import EVENT_COLUMNS, event_lines
from analytics_service.domain.event_columns import EventColumns
from bench.api_layout import service_names
from bench.api_traffic import KINDS, events_between, kind_of

DENSE_S: Final = 480
_COPY: Final = sql.SQL("COPY analytics_events ({}, ingested_at) FROM STDIN").format(
    sql.SQL(", ").join(map(sql.Identifier, EVENT_COLUMNS))
)
_LATE_S: Final = 0.3


class RawEvents:
    """Writes raw events of all services; offsets go on from where they were."""

    def __init__(self, services: int, next_offset: int, seed: int) -> None:
        self._names = service_names(services)
        self._next_offset = next_offset
        self._dice = np.random.default_rng(seed)

    @property
    def next_offset(self) -> int:
        """Where the one partition goes on."""
        return self._next_offset

    def write(self, conn: connection, start_s: int, end_s: int, share: float = 1.0) -> int:
        """Events of [start_s, end_s), one in 1/`share` of them; returns how many. Commits in autocommit mode."""
        events = []
        for number, name in enumerate(self._names):
            kind = KINDS[kind_of(number)]
            thinned = replace(kind, rate=kind.rate * share)
            events += events_between(name, thinned, 0, start_s, end_s, self._dice)
        if not events:
            return 0
        events.sort(key=lambda event: event.timestamp_us)
        offsets = range(self._next_offset, self._next_offset + len(events))
        self._next_offset += len(events)
        texts = bytes(event_lines(EventColumns.of(events), offsets, 1, 0)).decode().splitlines()
        stored = [np.datetime64(int(event.timestamp_us + _LATE_S * 1e6), "us") for event in events]
        text = "".join(f"{line}\t{at}Z\n" for line, at in zip(texts, stored, strict=True))
        with conn.cursor() as cur:
            cur.copy_expert(_COPY, io.BytesIO(text.encode()))
        return len(events)
