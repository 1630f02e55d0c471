"""Who causes the made-up traffic: users with their address, country and plan, a few of them suspect."""

from __future__ import annotations

import random
from typing import Final

import numpy as np

COUNTRIES: Final = ("US", "DE", "FR", "GB", "BR", "IN", "JP", "PL", "NG", "AU")
TIERS: Final = ("free", "free", "free", "pro", "enterprise")
ZIPF: Final = 1.3
ANONYMOUS: Final = 0.15
SUSPECT: Final = 0.01


class People:
    """Users, each as finished JSON members: some at the top of the event, some inside `enriched`."""

    def __init__(self, rng: random.Random, count: int) -> None:
        self._users = [_user(rng, number) for number in range(count)]
        self._strangers = [_stranger(rng) for _ in range(200)] + [""] * 50

    def sample(self, rng: np.random.Generator, count: int) -> list[str]:
        """The members of `count` events; few users cause most of them (Zipf)."""
        ranks = (rng.zipf(ZIPF, count) - 1) % len(self._users)
        strange = rng.random(count) < ANONYMOUS
        picks = rng.integers(len(self._strangers), size=count)
        return [
            self._strangers[pick] if unknown else self._users[rank]
            for rank, unknown, pick in zip(
                ranks.tolist(), strange.tolist(), picks.tolist(), strict=True
            )
        ]


def _user(rng: random.Random, number: int) -> str:
    address, country = _address(rng), rng.choice(COUNTRIES)
    shared = (
        f',"geo_country":"{country}","user_subscription_tier":"{rng.choice(TIERS)}"{_risk(rng)}'
    )
    identity = f'"user_id":"u{number:05d}","ip_address":"{address}"'
    if rng.random() < 0.3:
        return f',"enriched":{{{identity}}}{shared}'
    return f',"user_id":"u{number:05d}","source_ip":"{address}"{shared}'


def _stranger(rng: random.Random) -> str:
    return f',"source_ip":"{_address(rng)}"{_risk(rng)}'


def _risk(rng: random.Random) -> str:
    kind = rng.random()
    if kind < SUSPECT:
        return f',"risk_score":{rng.uniform(0.8, 1.0):.4f}'
    if kind < 0.6:
        return f',"risk_score":{rng.betavariate(1.2, 8):.4f}'
    return f',"business_risk_score":{rng.betavariate(1.2, 8):.4f}' if kind < 0.7 else ""


def _address(rng: random.Random) -> str:
    if rng.random() < 0.2:
        return f"2001:db8:{rng.randrange(65536):x}::{rng.randrange(1, 65536):x}"
    return f"{rng.choice((10, 100, 198))}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
