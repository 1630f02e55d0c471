"""What is sent: good events of every shape, about one in a hundred a dead letter. Pure but for the clock given."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from tests.reference.bad_values import bad_values
from tests.reference.brute_force import Rules, judge
from tests.reference.fields import Rejected

SERVICES = 12
BAD_SHARE = 0.01
LATE_SHARE = 0.02
LATE_S = 4 * 3600.0
OUT_OF_ORDER_S = 5.0
LARGEST_BAD = 70_000
LEVELS = ("info", "INFO", "debug", "warn", "error", "critical", "notice")
# A verdict that depends on the time must be the same at the sending and at the reckoning, however long the run.
STABLE_US = 86_400_000_000


def values(seed: int, clock: Callable[[], float]) -> Iterator[bytes | None]:
    """Messages without end; `clock` gives epoch seconds. No two good ones are alike."""
    rng = random.Random(f"traffic {seed}")
    bad = stable_bad_values(clock())
    number = 0
    while True:
        number += 1
        if rng.random() < BAD_SHARE:
            yield rng.choice(bad)
        else:
            yield good_value(rng, number, clock())


def stable_bad_values(now_s: float) -> list[bytes | None]:
    """Every kind of bad value whose verdict is the same a day later; the very largest are left out."""
    now_us = int(now_s * 1_000_000)
    return [
        value
        for reason, value in bad_values(datetime.fromtimestamp(now_s, UTC))
        if len(value or b"") <= LARGEST_BAD
        and verdict(value, now_us) == verdict(value, now_us + STABLE_US) == reason
    ]


def verdict(value: bytes | None, now_us: int) -> str | None:
    """The reference's reason to reject `value`, None when it is an event."""
    try:
        judge(value, Rules(), now_us)
    except Rejected as rejected:
        return rejected.reason
    return None


def good_value(rng: random.Random, number: int, now_s: float) -> bytes:
    """One event, a little out of order, now and then hours late; optional fields come and go."""
    late = rng.random() < LATE_SHARE
    event: dict[str, object] = {
        "timestamp": _moment(rng, now_s - rng.uniform(0.0, LATE_S if late else OUT_OF_ORDER_S)),
        # A few services get most of the events: workers meet each other in their rows.
        "service": f"service-{int(SERVICES * rng.random() ** 2)}",
        "level": rng.choice(LEVELS),
        "message": f"no. {number}",
    }
    if rng.random() < 0.9:
        event["latency_ms"] = round(rng.lognormvariate(3.0, 1.2), 3)
    if rng.random() < 0.7:
        event[rng.choice(("risk_score", "business_risk_score"))] = round(rng.random(), 4)
    if rng.random() < 0.8:
        event["user_id"] = f"user-{int(300 * rng.random() ** 2)}"
    if rng.random() < 0.8:
        event["source_ip"] = _address(rng)
    if rng.random() < 0.1:
        event["enriched"] = {"user_id": "inner", "request_id": rng.randrange(10**6)}
    return json.dumps(event, separators=(",", ":")).encode()


def _moment(rng: random.Random, at_s: float) -> object:
    if rng.random() < 0.2:
        return int(at_s * 1000)  # milliseconds
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def _address(rng: random.Random) -> str:
    host = int(400 * rng.random() ** 2)
    return f"2001:db8::{host:x}" if host % 10 == 0 else f"10.1.{host // 250}.{host % 250}"
