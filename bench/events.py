"""The events that everything here is measured with: lifelike, seeded, made by nothing of the product.

A block holds the JSON values to send and, beside them, the figures that were written into them, so that what the
database says afterwards can be checked without reading JSON again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SERVICES: Final = tuple(
    f"{area}-{part}"
    for area in ("checkout", "payment", "catalog", "identity", "shipping")
    for part in ("api", "worker", "gateway", "store")
)
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
LEVEL_SHARES: Final = (0.12, 0.75, 0.08, 0.04, 0.01)
MESSAGES: Final = (
    "request handled by upstream, cache state hit",
    "request handled by upstream, cache state miss",
    "connection to the upstream was reused",
    "order accepted and queued for processing",
    "token refreshed before its expiry",
    "inventory lookup answered from a replica",
    "payload validated against schema version 3",
    "slow query noticed, plan sent to the log",
)


def service_name(number: int) -> str:
    """The name of a service; as many as one likes."""
    return SERVICES[number] if number < len(SERVICES) else f"service-{number}"


USERS: Final = 50_000
ADDRESSES: Final = 30_000
SHARE_WITHOUT_LATENCY: Final = 0.03
SHARE_WITHOUT_USER: Final = 0.10
BLOCK: Final = 50_000

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """What the events say, one element an event: `service` is for `service_name`, `level` an index into LEVELS.

    `timestamp_us`: epoch microseconds. `latency_ms`: NaN where the event carries none. `risk`: 0..1. `user`: -1
    where the event carries none. `address`: number of the source address.
    """

    timestamp_us: Ints
    service: Ints
    level: Ints
    latency_ms: Floats
    risk: Floats
    user: Ints
    address: Ints

    def __len__(self) -> int:
        return len(self.timestamp_us)


@dataclass(frozen=True, slots=True)
class Block:
    """Values as they are sent, and what they say."""

    values: list[bytes]
    columns: Columns


@dataclass(frozen=True, slots=True)
class Recipe:
    """`count` events in the order of their happening, evenly over `span_s` seconds up to `end_us`.

    `end_us`: epoch microseconds. `services`: how many there are.
    """

    count: int
    end_us: int
    span_s: float = 1200.0
    seed: int = 20_240_611
    services: int = len(SERVICES)

    def blocks(self, limit: int | None = None) -> Iterator[Block]:
        """The events, or the first `limit` of them, in blocks; the same ones at every call."""
        end = self.count if limit is None else min(limit, self.count)
        for first in range(0, end, BLOCK):
            block = self.block_from(first)
            yield block if first + len(block.values) <= end else head(block, end - first)

    def block_from(self, first: int) -> Block:
        """The block that begins with the `first` event, a multiple of BLOCK."""
        count = min(BLOCK, self.count - first)
        rng = np.random.default_rng((self.seed, first))
        span_us = self.span_s * 1e6
        places = np.arange(first, first + count) + rng.random(count)
        times = self.end_us - span_us + places * (span_us / (self.count + 1))
        columns = draw(rng, times.astype(np.int64), self.services)
        return Block(render(columns, first), columns)


def draw(rng: np.random.Generator, timestamps_us: Ints, services: int = len(SERVICES)) -> Columns:
    """Events at the given times: some services busier and slower than others, heavy-tailed latencies."""
    count = len(timestamps_us)
    shares = 1.0 / np.arange(1, services + 1) ** 0.5
    service = rng.choice(services, count, p=shares / shares.sum())
    latency = np.round(rng.lognormal(2.5 + 0.1 * (service % len(SERVICES)), 0.9), 3)
    latency[rng.random(count) < SHARE_WITHOUT_LATENCY] = np.nan
    user = (USERS * rng.random(count) ** 2).astype(np.int64)
    user[rng.random(count) < SHARE_WITHOUT_USER] = -1
    return Columns(
        timestamp_us=timestamps_us,
        service=service,
        level=rng.choice(len(LEVELS), count, p=LEVEL_SHARES),
        latency_ms=latency,
        risk=np.round(rng.beta(2, 6, count), 4),
        user=user,
        address=rng.integers(0, ADDRESSES, count),
    )


def render(columns: Columns, first_number: int) -> list[bytes]:
    """The events as JSON, about 270 bytes each; `first_number` begins the request ids."""
    texts = np.datetime_as_string(columns.timestamp_us.view("datetime64[us]")).tolist()
    return render_at(texts, columns, first_number)


def render_at(texts: Sequence[str], columns: Columns, first_number: int) -> list[bytes]:
    """Like `render`, with the times given as texts without zone (they are UTC)."""
    rows = zip(
        texts,
        columns.service.tolist(),
        columns.level.tolist(),
        columns.latency_ms.tolist(),
        columns.risk.tolist(),
        columns.user.tolist(),
        columns.address.tolist(),
        strict=True,
    )
    return [
        (
            f'{{"timestamp": "{text}+00:00", "service": "{service_name(service)}", "level": "{LEVELS[level]}", '
            f'"latency_ms": {latency if latency == latency else "null"}, "risk_score": {risk}, '
            f'"user_id": {quoted_user(user)}, '
            f'"request_id": "req-{number:016x}", '
            f'"source_ip": "10.{address >> 16}.{address >> 8 & 255}.{address & 255}", '
            f'"message": "{MESSAGES[number % len(MESSAGES)]}"}}'
        ).encode()
        for number, (text, service, level, latency, risk, user, address) in enumerate(
            rows, first_number
        )
    ]


def quoted_user(user: int) -> str:
    """The user as JSON text, null where there is none."""
    return f'"user-{user}"' if user >= 0 else "null"


def head(block: Block, count: int) -> Block:
    """The first `count` events of a block."""
    columns = {name: getattr(block.columns, name)[:count] for name in Columns.__dataclass_fields__}
    return Block(block.values[:count], Columns(**columns))


def join(parts: Sequence[Columns]) -> Columns:
    """Several columns as one."""
    return Columns(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in Columns.__dataclass_fields__
        )
    )
