"""New rows of alerts, their history and the outbox, by COPY: one command a table, however many alerts fire at once.

While the server stores the first rows the next ones are still being made, so that both have a processor.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice

import msgspec
from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from analytics_service.adapters.timescale.copy_text import NULL, escape
from analytics_service.domain.alerts import Transition
from analytics_service.domain.evaluation import Change, Key

LINES_AT_ONCE = 50
_COPY_ALERTS = """
    COPY analytics_alerts (
        id, rule_name, service, severity, metric_name, window_size, status, threshold, value, fingerprint, episode_id,
        pending_since, active_since, window_start
    ) FROM STDIN
"""
_HISTORY_COLUMNS = """
    (alert_id, episode_id, sequence, from_status, to_status, at, value, actor, comment, transition_id, window_start)
"""
_COPY_HISTORY = f"COPY analytics_alert_history {_HISTORY_COLUMNS} FROM STDIN"
_INSERT_HISTORY = f"INSERT INTO analytics_alert_history {_HISTORY_COLUMNS} VALUES %s"  # noqa: S608  # fixed
# Of a UUID's 17th digit the two upper bits are 10.
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_COPY_OUTBOX = "COPY alert_outbox (fingerprint, message) FROM STDIN"
_INSERT_OUTBOX = "INSERT INTO alert_outbox (fingerprint, message) VALUES %s"
# A few rows are as quick by INSERT; and the API, which waits with deadlines of its own, can do no COPY.
FEW = 10


@dataclass(slots=True)
class Told:
    """One transition on its way into history and outbox: the `place`-th of its change."""

    change: Change
    place: int
    alert_id: int | None
    episode_id: str | None
    transition_id: str

    @property
    def transition(self) -> Transition:
        """What happened."""
        return self.change.transitions[self.place]

    @property
    def sequence(self) -> int:
        """Its number within the episode."""
        return self.change.before.sequence + self.place + 1

    @property
    def value(self) -> float | None:
        """The metric as it was seen then; None: it was not."""
        reading = self.transition.reading
        return None if reading is None else reading.value

    @property
    def window_start_s(self) -> float | None:
        """The window it was seen in."""
        reading = self.transition.reading
        return None if reading is None else reading.window_start_s


def random_uuids(count: int) -> list[str]:
    """UUIDs of version 4 in their usual text; `uuid.uuid4` takes five times as long, which is felt by the thousand."""
    digits = os.urandom(16 * count).hex()
    return [
        f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{_VARIANTS[d[16]]}{d[17:20]}-{d[20:]}"
        for d in (digits[at : at + 32] for at in range(0, 32 * count, 32))
    ]


@lru_cache(maxsize=1 << 16)
def fingerprint(key: Key) -> str:
    """The same for every episode of a rule and a service."""
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]


@lru_cache(maxsize=1 << 12)
def iso(at_s: float) -> str:
    """Epoch seconds in ISO 8601, to the microsecond; all changes of one look have the same few."""
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


def insert_alerts(
    cur: cursor, begun: Sequence[Change], ids: Sequence[int], episodes: Sequence[str]
) -> None:
    """An alert for each change, with the id and episode beside it."""
    _copy(cur, _COPY_ALERTS, map(_alert_line, begun, ids, episodes))


def insert_history(cur: cursor, told: Sequence[Told]) -> None:
    """A row of the trail for each transition. Raises UniqueViolation when its sequence is taken."""
    if len(told) > FEW:
        _copy(cur, _COPY_HISTORY, map(_history_line, told))
    else:
        execute_values(cur, _INSERT_HISTORY, [_history_row(each) for each in told])


def insert_outbox(cur: cursor, told: Sequence[Told]) -> None:
    """A message for each transition, in their order."""
    if len(told) > FEW:
        _copy(cur, _COPY_OUTBOX, map(_outbox_line, told))
    else:
        rows = [
            (fingerprint(t.change.key), msgspec.json.encode(_message(t)).decode()) for t in told
        ]
        execute_values(cur, _INSERT_OUTBOX, rows)


def _alert_line(change: Change, alert_id: int, episode_id: str) -> str:
    rule, after = change.rule, change.after
    assert rule is not None
    rule_name, service = change.key
    return (
        f"{alert_id}\t{escape(rule_name)}\t{escape(service)}\t{rule.severity}\t{rule.metric_name}\t{rule.window_size}\t"
        f"{after.status}\t{rule.threshold!r}\t{_or_null(change.value)}\t{fingerprint(change.key)}\t{episode_id}\t"
        f"{_moment(after.pending_since_s)}\t{_moment(after.active_since_s)}\t{_moment(change.window_start_s)}\n"
    )


def _history_line(told: Told) -> str:
    transition = told.transition
    return (
        f"{told.alert_id}\t{told.episode_id}\t{told.sequence}\t{transition.from_status}\t{transition.to_status}\t"
        f"{iso(transition.at_s)}\t{_or_null(told.value)}\t{_text(told.change.actor)}\t{_text(transition.comment)}\t"
        f"{told.transition_id}\t{_moment(told.window_start_s)}\n"
    )


def _history_row(told: Told) -> tuple[object, ...]:
    transition = told.transition
    start_s = told.window_start_s
    return (
        told.alert_id, told.episode_id, told.sequence, transition.from_status, transition.to_status,
        iso(transition.at_s), told.value, told.change.actor, transition.comment, told.transition_id,
        None if start_s is None else iso(start_s),
    )  # fmt: skip


def _outbox_line(told: Told) -> str:
    message = msgspec.json.encode(_message(told)).decode()
    # Of the characters that COPY wants escaped JSON leaves none as they are but this one.
    message = message.replace("\\", "\\\\")
    return f"{fingerprint(told.change.key)}\t{message}\n"


def _message(told: Told) -> dict[str, object]:
    rule, transition = told.change.rule, told.transition
    about = rule or told.change.before.fired
    assert about is not None
    reading = transition.reading
    return {
        "transition_id": told.transition_id,
        "episode_id": told.episode_id,
        "sequence": told.sequence,
        "alert_id": told.alert_id,
        "fingerprint": fingerprint(told.change.key),
        "from_status": transition.from_status,
        "to_status": transition.to_status,
        "at": iso(transition.at_s),
        "value": told.value,
        "actor": told.change.actor,
        "comment": transition.comment,
        "rule_name": told.change.key[0],
        "service": told.change.key[1],
        "severity": about.severity,
        "metric_name": about.metric_name,
        "window_size": about.window_size,
        "window_start": None if reading is None else iso(reading.window_start_s),
        "threshold": about.threshold,
        "operator": rule.operator if rule else None,
        "description": rule.description if rule else None,
        "notification_channels": rule.notification_channels if rule else (),
    }


def _text(text: str | None) -> str:
    return NULL if text is None else escape(text)


def _or_null(number: float | None) -> str:
    return NULL if number is None else repr(number)


def _moment(at_s: float | None) -> str:
    return NULL if at_s is None else iso(at_s)


def _copy(cur: cursor, command: str, lines: Iterable[str]) -> None:
    cur.copy_expert(command, _Lines(iter(lines)))


class _Lines(io.RawIOBase):
    """A file over lines that are made when COPY wants to read them."""

    def __init__(self, lines: Iterator[str]) -> None:
        super().__init__()
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end."""
        if not self._rest:
            self._rest = "".join(islice(self._lines, LINES_AT_ONCE)).encode()
        end = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:end], self._rest[end:]
        return taken
