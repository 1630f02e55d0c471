"""Lifelike traffic, seeded: services with a daily rhythm, heavy-tailed latencies, incidents, users.

Pure: the moments of the events are given, nothing here knows the time. The same plan, seed and
moments give the same bytes. Made in bursts with numpy, about 5 microseconds an event.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics_service.domain.traffic_faults import FAULTS
from analytics_service.domain.traffic_people import People
from analytics_service.domain.traffic_services import make_services

DAY_US: Final = 86_400_000_000
SLOT_US: Final = 600_000_000  # in every ten minutes one service has a small incident of its own
# Too small for the usual rules: who wants to see alerts asks for an incident.
SLOT_SEVERITY: Final = 0.07
RAMP_US: Final = 10_000_000  # an incident that was asked for grows, and goes, over ten seconds
STUCK_MS: Final = 800.0  # what the worst half of it adds to every latency
LATE_MEAN_US: Final = 20_000_000
LATE_MOST_US: Final = 600_000_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """What the traffic is like. Fractions are from 0 to 1; `late`: events that come after their time.

    `incident_s`: seconds until the incident begins to be over; None: it never is.
    """

    services: int = 12
    users: int = 5_000
    incident: str | None = None
    incident_s: float | None = None
    bad_fraction: float = 0.0
    late_fraction: float = 0.01


def timeline(start_us: int, end_us: int, count: int) -> list[int]:
    """`count` ascending moments of [start, end), closer together where the day is busy."""
    edges = np.linspace(start_us, end_us, 1_441)
    of_day = (edges[:-1] % DAY_US) / DAY_US
    busy = 1.0 + 0.5 * np.sin(2 * math.pi * (of_day - 0.3))
    reached = np.concatenate(([0.0], np.cumsum(busy) / busy.sum()))
    places = (np.arange(count) + 0.5) / max(count, 1)
    return [int(moment) for moment in np.interp(places, reached, edges)]


@dataclass(slots=True)
class Burst:
    """Values in the order of sending, and how many of them are bad on purpose, by reason."""

    values: list[bytes] = field(default_factory=list)
    bad: Counter[str] = field(default_factory=Counter)


class Traffic:
    """A source of events. `started_us`: epoch microseconds of the beginning, when an incident sets in."""

    def __init__(self, plan: TrafficPlan, seed: int, started_us: int) -> None:
        self._plan = plan
        self._seed = seed
        self._started_us = started_us
        self._rng = np.random.default_rng(seed)
        self._services = make_services(random.Random(seed), plan.services, plan.incident)
        self._people = People(random.Random(seed + 1), plan.users)
        self._weights = np.array([service.weight for service in self._services])
        self._phases = np.array([service.phase for service in self._services])
        self._next_fault = 0

    @property
    def service_names(self) -> list[str]:
        """Names of the services, the busiest first."""
        return [service.name for service in self._services]

    def burst(self, moments_us: Sequence[int]) -> Burst:
        """One event for each of the moments (epoch microseconds, ascending)."""
        burst = Burst()
        if not moments_us:
            return burst
        rng, count = self._rng, len(moments_us)
        moments = self._some_late(np.asarray(moments_us, dtype=np.int64))
        activity = self._activity(moments_us[0])
        shares = self._weights * activity
        chosen = rng.choice(len(self._services), size=count, p=shares / shares.sum())
        stamps = np.datetime_as_string(moments.astype("datetime64[us]"), unit="us").tolist()
        severity = self._severity(moments_us[0])
        latencies = self._latencies(chosen, activity, severity)
        dice = rng.random((4, count)).tolist()
        identities = rng.bytes(count * 16).hex()
        who = self._people.sample(rng, count)
        for row in range(count):
            index = int(chosen[row])
            service = self._services[index]
            latency = latencies[row] if dice[0][row] >= service.without_latency else None
            text = service.event(
                stamps[row],
                service.level(dice[1][row], severity[index]),
                latency,
                dice[2][row],
                identities[row * 32 : row * 32 + 32],
                who[row],
            )
            if dice[3][row] < self._plan.bad_fraction:
                reason, value = self._fault(text, moments_us[row])
                burst.bad[reason] += 1
                burst.values.append(value)
            else:
                burst.values.append(text.encode())
        return burst

    def _fault(self, text: str, moment_us: int) -> tuple[str, bytes]:
        fault = FAULTS[self._next_fault % len(FAULTS)]
        self._next_fault += 1
        return fault.reason, fault.make(text, moment_us)

    def _some_late(self, moments: Ints) -> Ints:
        late = self._rng.random(len(moments)) < self._plan.late_fraction
        behind = np.minimum(self._rng.exponential(LATE_MEAN_US, len(moments)), LATE_MOST_US)
        return moments - np.where(late, behind, 0).astype(np.int64)

    def _activity(self, at_us: int) -> Floats:
        """How busy each service is at this time of day; 1 is the mean of its day."""
        of_day = (at_us % DAY_US) / DAY_US
        return 1.0 + 0.6 * np.sin(2 * math.pi * (of_day - self._phases))

    def _severity(self, at_us: int) -> list[float]:
        """How ill each service is, from 0 to 1."""
        severity = [0.0] * len(self._services)
        slot, within_us = divmod(at_us, SLOT_US)
        fate = random.Random(f"{self._seed}/{slot}")
        victim = fate.randrange(len(self._services))
        begin_us, lasts_us = fate.uniform(0, 0.8) * SLOT_US, fate.uniform(30e6, 120e6)
        if begin_us <= within_us < begin_us + lasts_us:
            severity[victim] = SLOT_SEVERITY
        for index, service in enumerate(self._services):
            if service.name == self._plan.incident:
                severity[index] = self._incident(at_us - self._started_us)
        return severity

    def _incident(self, since_us: int) -> float:
        """How bad the incident is so long after it began."""
        grown = since_us / RAMP_US
        if self._plan.incident_s is not None:
            grown = min(grown, (self._plan.incident_s * 1e6 - since_us) / RAMP_US + 1)
        return min(1.0, max(0.0, grown))

    def _latencies(self, chosen: Ints, activity: Floats, severity: list[float]) -> list[float]:
        """Milliseconds: lognormal, one in fifty from a Pareto tail, slower under load and when ill."""
        rng, count = self._rng, len(chosen)
        medians = np.array([service.median_ms for service in self._services])
        spreads = np.array([service.spread for service in self._services])
        ill = np.array(severity)
        slowed = medians * (1 + 0.3 * np.maximum(0, activity - 1)) * (1 + 8 * ill)
        slowed += STUCK_MS * np.maximum(0, ill - 0.5)
        values = slowed[chosen] * np.exp(spreads[chosen] * rng.standard_normal(count))
        tail = rng.random(count) < 0.02
        values = np.where(tail, values * (3 + rng.pareto(1.6, count)), values)
        return [float(value) for value in np.round(np.minimum(values, 60_000.0), 3)]
