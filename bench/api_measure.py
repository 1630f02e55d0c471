"""Each request by itself on the running API: first, paced, and as fast as it goes."""

from __future__ import annotations

import multiprocessing
import os
import re
import secrets
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from analytics_service.passwords import hash_password
from bench.api_cases import ANSWER_MS, Case
from bench.api_load import Sample, Target, run
from bench.child import Child
from bench.proc import family_cpu_seconds
from bench.progress import Progress
from bench.site import SECONDS_TO_BEGIN, Site
from bench.truth import nearest_rank

CLIENTS: Final = 20
PACE_S: Final = 2.0
"""An open page asks every two seconds."""
LISTENING: Final = "dashboard-api listening on"
USER: Final = "bench"
ALONE_PACE_S: Final = 0.5
"""So seldom that the API looks each answer up."""
_FIRST_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds of paced asking there are, and the seconds of each way of asking, for each request."""

    rounds: int = 3
    paced_s: float = 6.0
    saturated_s: float = 3.0
    alone_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of answers (nearest rank), and how many there were in a second."""

    answers: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What one request gave; CPU in milliseconds an answer, while saturated; None: not our own database.

    `paced`: one for each round; the rounds lie minutes apart, so that a moment in which the machine stands still is
    not taken for the request's own. `alone`: one client that asks now and then, where many are answered with what was
    looked up for one of them.
    """

    path: str
    route: str
    limit_ms: float
    bytes: int
    load_before: float
    first_ms: float
    paced: Sequence[Times]
    saturated: Times
    api_cpu_ms: float
    database_cpu_ms: float | None
    alone: Times | None = None

    def middle(self, percent: int) -> float:
        """The median of the paced rounds' p50 or p95, in milliseconds."""
        return statistics.median(self._of_rounds(percent))

    def spread(self, percent: int) -> tuple[float, float]:
        """The least and the largest of them."""
        found = self._of_rounds(percent)
        return min(found), max(found)

    @property
    def worst_ms(self) -> float:
        """The longest paced answer of all rounds."""
        return max(times.worst_ms for times in self.paced)

    def _of_rounds(self, percent: int) -> list[float]:
        return [getattr(times, f"p{percent}_ms") for times in self.paced]

    @property
    def counted_ms(self) -> float:
        """The p95 of the paced clients; of what may take longer that of the one client, too, should it be worse."""
        alone_ms = 0.0 if self.alone is None or self.limit_ms == ANSWER_MS else self.alone.p95_ms
        return max(self.middle(95), alone_ms)

    @property
    def kept(self) -> bool:
        """Whether the answers came in time."""
        return self.counted_ms <= self.limit_ms

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return {**asdict(self), "kept": self.kept}


def times_of(sample: Sample) -> Times:
    """The figures of a sample."""
    ordered = np.sort(np.array(sample.seconds)) * 1000
    p50, p95, p99 = (round(nearest_rank(ordered, percent), 2) for percent in (50, 95, 99))
    worst = round(float(ordered[-1]), 2)
    return Times(len(ordered), p50, p95, p99, worst, round(len(ordered) / sample.elapsed_s, 1))


@contextmanager
def running_api(site: Site, database: str, topic: str) -> Iterator[tuple[Child, Target]]:
    """`stacklens api` with its own defaults of workers and threads, on a free port, and its one user."""
    password = secrets.token_urlsafe(18)
    environment = {
        **site.environment(database, topic, site.mark),
        "API_HOST": "127.0.0.1",
        "API_PORT": "0",
        "API_METRICS_PORT": "0",
        "API_USERS": f"{USER}:admin:{hash_password(password)}",
    }
    command = [sys.executable, "-m", "analytics_service.entrypoints.cli.main", "api"]
    with Child("the API", command, environment, site.directory, markers=[LISTENING]) as api:
        _, line = api.wait_for(LISTENING, SECONDS_TO_BEGIN)
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise api.trouble("did not say on which port it listens")
        yield api, Target("127.0.0.1", int(found[1]), USER, password)


class Measuring:
    """Asks from a process of its own, so that neither reading the API's log nor anything else here delays it."""

    def __init__(self, site: Site, api: Child, target: Target, plan: Plan) -> None:
        self._site = site
        self._api = api
        self._target = target
        self._plan = plan

    def all(self, cases: Sequence[Case], progress: Progress) -> list[Measured]:
        """Measure each of `cases`; once more paced in every further round."""
        with multiprocessing.get_context("spawn").Pool(1) as pool:

            def _ask(path: str, clients: int, seconds: float, pace_s: float | None) -> Sample:
                self._api.check()
                return pool.apply(run, (self._target, path, clients, seconds, pace_s))

            measured = []
            for case in cases:
                measured.append(self._one(case, _ask))
                it = measured[-1]
                progress.say(
                    f"{case.path}: paced p95 {it.middle(95):.1f} ms,"
                    f" saturated {it.saturated.per_second:,.0f}/s"
                )
            for number in range(2, self._plan.rounds + 1):
                for place, it in enumerate(measured):
                    _ask(it.path, CLIENTS, _FIRST_S, _FIRST_S)
                    paced = times_of(_ask(it.path, CLIENTS, self._plan.paced_s, PACE_S))
                    measured[place] = replace(it, paced=[*it.paced, paced])
                    progress.say(f"round {number}, {it.path}: paced p95 {paced.p95_ms:.1f} ms")
        return measured

    def _one(self, case: Case, ask: Any) -> Measured:
        plan = self._plan
        load = os.getloadavg()[0]
        # Everybody once, to a worker that may never have been asked for it.
        first = times_of(ask(case.path, CLIENTS, _FIRST_S, _FIRST_S))
        paced = ask(case.path, CLIENTS, plan.paced_s, PACE_S)
        alone = None
        if case.looked_up_once:
            # The first ones may still be answered as the others were.
            ask(case.path, 1, 4 * ALONE_PACE_S, ALONE_PACE_S)
            alone = times_of(ask(case.path, 1, plan.alone_s, ALONE_PACE_S))
        before = self._cpu()
        saturated = times_of(ask(case.path, CLIENTS, plan.saturated_s, None))
        after = self._cpu()
        api_ms, database_ms = (
            None if a is None or b is None else 1000 * (b - a) / saturated.answers
            for a, b in zip(before, after, strict=True)
        )
        assert api_ms is not None
        return Measured(
            case.path,
            case.route,
            case.limit_ms,
            paced.bytes,
            round(load, 2),
            first.worst_ms,
            [times_of(paced)],
            saturated,
            round(api_ms, 2),
            None if database_ms is None else round(database_ms, 2),
            alone,
        )

    def _cpu(self) -> tuple[float | None, float | None]:
        """CPU seconds so far of the API with its workers, and of the database with its sessions."""
        postgres = self._site.stack.postgres
        server = None if postgres is None else postgres.pid
        return family_cpu_seconds(self._api.pid), None if server is None else family_cpu_seconds(
            server
        )
