"""A day of made-up events, seeded: every form the contract allows, and every fault it names."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from tests.reference.bad_values import bad_values, encoded, padded_to

Value = bytes | None  # None: a tombstone

SERVICES: tuple[object, ...] = (
    *("checkout", "payment", "search", "catalogue", "login", "mail"),
    "tab\tin it",
    "line\nbreak",
    "carriage\rreturn",
    'double "quoted"',
    "single 'quoted'",
    "back\\slash",
    "\\N",
    "\\.",
    "a,b;c|d{e}",
    "NULL",
    " spaces around ",
    "Größe ☃ 🚀",
    "s" * 255,
    "🚀" * 255,
    4711,
    -1.5,
)
LEVELS = ("debug", "info", "INFO", "Info", "notice", "trace", "warn", "Warning", "err", "ERROR")
RARE_LEVELS = ("error", "critical", "FATAL")
CROWD = 3_000
TEXTS = (
    "plain",
    "",
    "tab\t newline\n return\r quote\" apostrophe' backslash\\ \\N \\. \\x41",
    "unicode ☃ 🚀 é e\u0301 \u202e \ufeff \ufffd \uffff \U0010ffff",
    "control \u0001 \u001f \u007f \u0085 \u2028",
    "'); DROP TABLE analytics_events; --",
    12,
    12.50,
    1e100,
)


def generated_day(seed: int, now: datetime, events: int = 20_000) -> list[Value]:
    """Values in the order of sending: `events` good ones over the 24 hours before `now`, some late,
    neighbours out of order, a crowd of users within a minute, and every kind of bad value.

    `now` is aware and near the time of judging. The same arguments give the same values.
    """
    rng = random.Random(seed)
    values: list[Value] = list(_events(rng, now, events))
    for bad in [value for _, value in bad_values(now)]:
        values.insert(rng.randrange(len(values) + 1), bad)
    return values


def shuffled(values: list[Value], seed: int) -> list[Value]:
    """The same values in another order."""
    return random.Random(seed).sample(values, len(values))


def _events(rng: random.Random, now: datetime, events: int) -> Iterator[bytes]:
    day = timedelta(days=1)
    addresses = list(_addresses(rng, 500))
    for number in range(events):
        at = now - day + day * ((number + rng.uniform(-20, 20)) / events)
        at = min(at, now)
        if rng.random() < 0.05:
            at -= timedelta(seconds=rng.expovariate(1 / 3600) % 500_000)
        fields = _event(rng, at, addresses)
        yield _written(rng, fields)
    for number in range(CROWD):
        yield encoded(
            {
                "timestamp": int((now - day / 2).timestamp()) + number * 60 // CROWD,
                "service": "crowded",
                "level": "info",
                "latency_ms": round(rng.lognormvariate(4, 1), 3),
                "user_id": f"u{rng.randrange(CROWD)}",
                "source_ip": f"10.{number % 40}.{number % 199}.{number % 7}",
            }
        )
    good: dict[str, str] = {"timestamp": now.isoformat(), "service": "largest", "level": "info"}
    yield padded_to(good, 65_536)
    yield encoded({**good, "timestamp": (now + timedelta(seconds=60)).isoformat()})
    yield encoded({**good, "timestamp": (now - timedelta(days=6, hours=12)).isoformat()})
    yield encoded(good)[:-1] + b',"message":"\\ud83d\\ude80 \\u0009 \\/ \\"","x":"\\u0000"}'
    yield b" \r\n\t" + encoded(good) + b"\n "


def _event(rng: random.Random, at: datetime, addresses: list[list[str]]) -> dict[str, object]:
    service = SERVICES[min(int(rng.expovariate(0.25)), len(SERVICES) - 1)]
    level = rng.choice(RARE_LEVELS) if rng.random() < 0.04 else rng.choice(LEVELS)
    fields: dict[str, object] = {"timestamp": stamp(rng, at), "service": service, "level": level}
    if rng.random() < 0.9:
        fields["latency_ms"] = _latency(rng)
    if rng.random() < 0.5:
        name = rng.choice(("risk_score", "business_risk_score"))
        fields[name] = rng.choice((0, 1, 0.8, 0.80000001, round(rng.betavariate(1, 4), 4)))
        if name == "risk_score" and rng.random() < 0.1:
            fields["business_risk_score"] = "the second name is not looked at"
    _who(rng, fields, addresses)
    for name in ("request_id", "trace_id", "span_id"):
        if rng.random() < 0.7:
            fields[name] = f"{rng.getrandbits(64):016x}"
    for name in ("message", "error_message", "user_subscription_tier"):
        if rng.random() < 0.3:
            fields[name] = rng.choice(TEXTS)
    if rng.random() < 0.3:
        name = rng.choice(("geo_country", "geo_country_name", "geo_country_code"))
        fields[name] = rng.choice(("DE", "Côte d’Ivoire", "United States"))
    if rng.random() < 0.1:
        fields["ignored"] = {"timestamp": 1, "deep": [[["x", None, True, 1e308]]]}
    if rng.random() < 0.1:
        fields[rng.choice(("latency", "host", "message2"))] = None
    return fields


def _who(rng: random.Random, fields: dict[str, object], addresses: list[list[str]]) -> None:
    enriched: dict[str, object] = {}
    if rng.random() < 0.8:
        number = min(int(rng.paretovariate(0.6)), 5_000)
        user: object = number if rng.random() < 0.3 else str(number)
        place = enriched if rng.random() < 0.3 else fields
        place["user_id"] = user
        if place is fields and rng.random() < 0.1:
            enriched["user_id"] = "the outer one wins"
    if rng.random() < 0.8:
        spelling = rng.choice(rng.choice(addresses))
        name = rng.choice(("source_ip", "ip_address", "inside"))
        if name == "inside":
            enriched["ip_address"] = spelling
        else:
            fields[name] = spelling
    if rng.random() < 0.1:
        enriched["request_id"] = "r-inside"
        fields["source"] = None
    if enriched or rng.random() < 0.1:
        fields["enriched"] = enriched
    elif rng.random() < 0.1:
        fields["enriched"] = None


def _latency(rng: random.Random) -> float | int:
    kind = rng.random()
    if kind < 0.02:
        return rng.choice((0, 0.0, 1e-6, 1e7, 86_400_000, 5e-324, 1e300 if kind < 0.0002 else 1))
    value = rng.lognormvariate(3.5, 0.8) if kind < 0.97 else 200 * rng.paretovariate(1.5)
    return round(value) if kind < 0.3 else round(value, 3)


def _addresses(rng: random.Random, count: int) -> Iterator[list[str]]:
    """Per address its spellings."""
    for number in range(count):
        if number % 2:
            yield [".".join(str(rng.randrange(256)) for _ in range(4))]
            continue
        groups = [0x2001, 0xDB8, 0, 0, 0, 0, rng.randrange(65_536), rng.randrange(1, 65_536)]
        tail = f"{groups[6]:x}:{groups[7]:x}"
        full = ":".join(f"{group:04x}" for group in groups)
        yield [full, full.upper(), f"2001:db8::{tail}", f"2001:DB8:0:0:0:0:{tail}"]
    yield ["::1", "0:0:0:0:0:0:0:1"]
    yield ["::ffff:192.0.2.1", "::FFFF:c000:0201", "0:0:0:0:0:ffff:192.0.2.1"]


def stamp(rng: random.Random, at: datetime) -> str | int | float:
    """One of the forms in which the contract takes a time; `at` to its precision."""
    at = at.astimezone(UTC)
    micros = at.timestamp()
    offset = timezone(timedelta(minutes=rng.choice((120, -330, 0, 840, -720))))
    forms: tuple[str | int | float, ...] = (
        at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        at.isoformat(timespec="milliseconds"),
        at.astimezone(offset).isoformat(),
        at.astimezone(offset).strftime("%Y-%m-%d %H:%M:%S.%f%z"),
        at.replace(tzinfo=None).isoformat(timespec="seconds"),
        at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "999Z",
        at.strftime("%Y-%m-%dT%H:%MZ"),
        int(micros),
        round(micros, 3),
        round(micros, 6),
        int(micros * 1000),
        round(micros * 1000, 3),
    )
    return rng.choice(forms)


def _written(rng: random.Random, fields: dict[str, object]) -> bytes:
    names = list(fields)
    if rng.random() < 0.3:
        rng.shuffle(names)
    separators = rng.choice(((",", ":"), (", ", ": "), (" ,\t", " : ")))
    ascii_only = rng.random() < 0.5
    ordered = {name: fields[name] for name in names}
    return json.dumps(ordered, ensure_ascii=ascii_only, separators=separators).encode()
