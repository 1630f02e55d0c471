"""Where one smoke event is looked for on its way: broker, raw rows, windows, API, dead letters."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from psycopg2 import sql
from psycopg2.extensions import connection

from analytics_service.adapters.kafka.producer import DeliveryError, TopicProducer
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.dead_letter_queries import discard_letters
from analytics_service.config import Settings
from analytics_service.domain.times import from_epoch_s, from_epoch_us
from analytics_service.domain.windows import WINDOWS, Window
from analytics_service.entrypoints.cli.api_access import Login
from analytics_service.entrypoints.cli.checking import CheckFailed
from analytics_service.entrypoints.cli.verify_http import get

SERVICE_PREFIX = "deployment-smoke-"
BAD_LEVEL = "not-a-level"
BAD_REASON = "invalid_field:level"
# A letter is found by its bytes, for which there is no index: so only among the newest.
NEWEST_LETTERS = 10_000

Look = Callable[[], str | None]
"""Once: what was found, None if it is not there yet. Raises CheckFailed when waiting is of no use."""


@dataclass(frozen=True, slots=True)
class SmokeEvent:
    """One event that nobody else sends: its service holds the marker, which is its request id too."""

    marker: str
    at_us: int

    @property
    def service(self) -> str:
        """The name of a service that has this one event."""
        return f"{SERVICE_PREFIX}{self.marker}"

    def value(self, level: str = "info") -> bytes:
        """The message."""
        event = {
            "timestamp": from_epoch_us(self.at_us).isoformat(),
            "service": self.service,
            "level": level,
            "latency_ms": 50.0,
            "risk_score": 0.1,
            "request_id": self.marker,
            "message": "smoke test of a deployment; nothing is wrong",
        }
        return json.dumps(event).encode()


def produce(settings: Settings, value: bytes) -> str:
    """Send one message to the input topic; returns once every in-sync replica has it."""
    with TopicProducer(settings, settings.kafka_input_topic) as producer:
        producer.send([value])
        producer.flush()
        if producer.acknowledged != 1:
            raise DeliveryError(f"{settings.kafka_input_topic} takes no message of this size")
    return f"acknowledged by {settings.kafka_input_topic}"


def stored_looks(conn: connection, event: SmokeEvent) -> Iterator[tuple[str, Look]]:
    """The raw row, then a row of each window, each of which counts just this event."""
    yield "stored in analytics_events", partial(_raw_row, conn, event)
    for window in WINDOWS:
        yield f"counted in {window.table}", partial(_window_row, conn, event, window)


def api_looks(
    base_url: str, login: Login | None, event: SmokeEvent, timeout_s: float
) -> Iterator[tuple[str, Look]]:
    """What the API tells of the event's service, window by window."""
    for window in WINDOWS:
        path = f"/metrics?service={quote(event.service)}&window={window.name}&limit=1"
        look = partial(_api_row, base_url + path, login, timeout_s)
        yield f"served by /metrics, {window.name}", look


def dead_letter_look(conn: connection, event: SmokeEvent) -> Look:
    """The bad event's row; it is discarded as soon as it is found, so that nobody is asked to deal with it."""
    return partial(_dead_letter, conn, event)


@contextlib.contextmanager
def open_database(settings: Settings) -> Iterator[connection]:
    """A connection as the owner, each statement a transaction of its own."""
    opened = parameters(settings, application_name="stacklens smoke").connect()
    with contextlib.closing(opened) as conn:
        conn.autocommit = True
        yield conn


def _raw_row(conn: connection, event: SmokeEvent) -> str | None:
    with conn.cursor() as cur:
        cur.execute(
            "SELECT count(*), min(kafka_partition), min(kafka_offset) FROM analytics_events"
            " WHERE service = %s AND timestamp = %s AND request_id = %s",
            (event.service, from_epoch_us(event.at_us), event.marker),
        )
        ((count, partition, offset),) = cur.fetchall()
    if count > 1:
        raise CheckFailed(f"{count} rows for one event")
    return f"partition {partition}, offset {offset}" if count else None


def _window_row(conn: connection, event: SmokeEvent, window: Window) -> str | None:
    query = sql.SQL("SELECT total_requests FROM {} WHERE service = %s AND timestamp = %s").format(
        sql.Identifier(window.table)
    )
    start = from_epoch_s(window.start_of(event.at_us // 1_000_000))
    with conn.cursor() as cur:
        cur.execute(query, (event.service, start))
        return _counted([int(row[0]) for row in cur.fetchall()])


def _api_row(url: str, login: Login | None, timeout_s: float) -> str | None:
    answer = get(url, login, timeout_s)
    if answer.status == 401:  # asking on with a wrong password would be taken for an attack
        raise CheckFailed(
            "401: name or password is wrong" if login else "401: give --user and a password"
        )
    if answer.status == 429 or answer.status >= 500:
        raise OSError(f"status {answer.status}")
    if answer.status != 200:
        raise CheckFailed(f"status {answer.status}")
    rows = answer.document().get("metrics")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CheckFailed("the answer has no rows")
    return _counted([row.get("total_requests") for row in rows])


def _counted(totals: list[object]) -> str | None:
    if totals not in ([], [1]):
        raise CheckFailed(f"total_requests {', '.join(map(str, totals))} for one event")
    return "total_requests 1" if totals else None


def _dead_letter(conn: connection, event: SmokeEvent) -> str | None:
    with conn.cursor() as cur:
        cur.execute(
            "SELECT id, reason FROM (SELECT id, reason, raw_value FROM analytics_dead_letters"
            " ORDER BY id DESC LIMIT %s) AS newest WHERE position(%s IN raw_value) > 0",
            (NEWEST_LETTERS, event.marker.encode()),
        )
        rows = cur.fetchall()
    if not rows:
        return None
    discard_letters(conn, [row[0] for row in rows])
    if [row[1] for row in rows] != [BAD_REASON]:
        raise CheckFailed(f"reason {', '.join(row[1] for row in rows)}; {BAD_REASON} expected")
    return f"dead letter {rows[0][0]}, {BAD_REASON}; discarded"
