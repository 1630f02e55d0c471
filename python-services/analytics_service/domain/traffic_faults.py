"""Bad events on purpose: for every reason of the contract ways to spoil a good event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

LONG_AGO: Final = '"1900-01-01T00:00:00Z"'  # beyond every MAX_EVENT_AGE_DAYS
AHEAD: Final = timedelta(days=400)  # beyond every MAX_FUTURE_SKEW_SEC
TOO_LONG: Final = "x" * 70_000


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to spoil an event: `make(event as JSON text, its moment in epoch microseconds)`."""

    reason: str
    make: Callable[[str, int], bytes]


def _renamed(event: str, name: str) -> str:
    return event.replace(f'"{name}":', f'"not_{name}":')


def _given(name: str, literal: str) -> Callable[[str, int], bytes]:
    """The member's value becomes `literal`, wherever the event had another or none."""

    def make(event: str, _moment_us: int) -> bytes:
        return f'{_renamed(event, name)[:-1]},"{name}":{literal}}}'.encode("utf-8", "surrogatepass")

    return make


def _without(name: str) -> Callable[[str, int], bytes]:
    return lambda event, _moment_us: _renamed(event, name).encode()


def _always(value: bytes) -> Callable[[str, int], bytes]:
    return lambda _event, _moment_us: value


def _ahead(event: str, moment_us: int) -> bytes:
    later = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment_us) + AHEAD
    return _given("timestamp", f'"{later.isoformat()}"')(event, moment_us)


def _wrong(name: str, *literals: str) -> list[Fault]:
    return [Fault(f"invalid_field:{name}", _given(name, literal)) for literal in literals]


FAULTS: Final[tuple[Fault, ...]] = (
    Fault("empty", _always(b"")),
    Fault("invalid_json", lambda event, _moment_us: event[:-1].encode()),
    Fault("invalid_json", _always(b"not json at all")),
    Fault("invalid_json", _given("message", '"\\ud800"')),
    Fault("invalid_json", _given("message", '"\ud800"')),
    Fault("invalid_json", _given("latency_ms", "NaN")),
    Fault("not_an_object", lambda event, _moment_us: f"[{event}]".encode()),
    Fault("too_large", _given("message", f'"{TOO_LONG}"')),
    Fault("future_timestamp", _ahead),
    Fault("too_old", _given("timestamp", LONG_AGO)),
    *(Fault(f"missing_field:{name}", _without(name)) for name in ("timestamp", "service", "level")),
    *_wrong("timestamp", '"yesterday"', "true"),
    *_wrong("service", '""', "[]"),
    *_wrong("level", '"loud"', "7"),
    *_wrong("latency_ms", "-1", '"12"', "1e999"),
    *_wrong("risk_score", "1.5", '"high"'),
    *_wrong("source_ip", '"256.1.1.1"', '"localhost"'),
    *_wrong("user_id", '"nul\\u0000"', "{}"),
    *_wrong("request_id", "false"),
    *_wrong("trace_id", "[1]"),
    *_wrong("span_id", '"nul\\u0000"'),
    *_wrong("message", '"nul\\u0000"'),
    *_wrong("error_message", "{}"),
    *_wrong("geo_country", "true"),
    *_wrong("user_subscription_tier", "[]"),
    *_wrong("enriched", '"text"'),
)
