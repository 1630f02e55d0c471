"""When each service is to be in trouble: outbreaks drawn from a seed, and what became of them. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

# An outbreak that has to be noticed goes on until it is, for so long at most; so does the quiet after it.
PATIENCE_S = 120.0
LONG_S = (6.0, 18.0)
SHORT_S = (1.0, 9.0)
QUIET_S = (4.0, 12.0)
LONG_SHARE = 0.7


@dataclass
class Outbreak:
    """A time in which most of a service's events are errors; epoch seconds.

    From `began_s` errors were sent, from `sick_s` the broker had enough of them. From `ended_s` they were outweighed,
    at `well_s` the broker had all of it: no window is above the threshold any more. None: not yet.
    `must_fire`: it was not ended before every rule had fired, unless it lasted `PATIENCE_S`.
    """

    service: str
    must_fire: bool
    began_s: float
    sick_s: float | None = None
    ended_s: float | None = None
    well_s: float | None = None


@dataclass
class Course:
    """One service's course: quiet and trouble in turns, by a generator of its own."""

    service: str
    phases: Iterator[tuple[float, float, bool]]
    outbreaks: list[Outbreak] = field(default_factory=list)
    _until_s: float = 0.0
    _sick_for_s: float = 0.0
    _must_fire: bool = False
    _is_over: bool = False

    def begin(self, now_s: float) -> None:
        """Quiet to begin with."""
        self._next_quiet(now_s)

    @property
    def current(self) -> Outbreak | None:
        """The outbreak that goes on."""
        last = self.outbreaks[-1] if self.outbreaks else None
        return last if last is not None and last.ended_s is None else None

    @property
    def is_quiet(self) -> bool:
        """Whether everything is over, and stays so."""
        return self._is_over and self.current is None

    def finish(self) -> None:
        """No outbreak begins any more; one that goes on comes to its end."""
        self._is_over = True

    def advance(self, now_s: float, open_rules: Collection[str] | None, rules: int) -> bool:
        """Whether the service is in trouble at `now_s`, `open_rules` having fired for it (None: nobody knows)."""
        outbreak = self.current
        if outbreak is not None:
            if now_s < self._until_s:
                return True
            noticed = open_rules is not None and len(open_rules) == rules
            if outbreak.must_fire and not noticed and now_s < self._until_s + PATIENCE_S:
                return True
            outbreak.ended_s = now_s
            self._next_quiet(now_s)
            return False
        if self._is_over or now_s < self._until_s:
            return False
        before = self.outbreaks[-1] if self.outbreaks else None
        is_clean = open_rules is not None and not open_rules
        settled = before is None or (before.well_s is not None and is_clean)
        if not settled and now_s < self._until_s + PATIENCE_S:
            return False
        self.outbreaks.append(Outbreak(self.service, self._must_fire, now_s))
        self._until_s = now_s + self._sick_for_s
        return True

    def _next_quiet(self, now_s: float) -> None:
        quiet_s, self._sick_for_s, self._must_fire = next(self.phases)
        self._until_s = now_s + quiet_s


def courses(seed: int, services: Collection[str]) -> list[Course]:
    """A course for each service; a seed gives the same ones always."""
    return [Course(service, _phases(random.Random(f"{seed} {service}"))) for service in services]


def _phases(rng: random.Random) -> Iterator[tuple[float, float, bool]]:
    while True:
        is_long = rng.random() < LONG_SHARE
        yield rng.uniform(*QUIET_S), rng.uniform(*(LONG_S if is_long else SHORT_S)), is_long
