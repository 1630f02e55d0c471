"""All services on their courses, between the stream that asks and the watch that knows which rules fire."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.faults.alerts.timeline import Course, Outbreak, courses
from tests.faults.alerts.watch import Watch


class Town:
    """`rules`: how many are about each service. Its switch and sent are called by the stream's thread."""

    def __init__(self, seed: int, services: Sequence[str], rules: int, watch: Watch) -> None:
        self.courses = {each.service: each for each in courses(seed, services)}
        self._rules, self._watch = rules, watch
        for course in self.courses.values():
            course.begin(time.time())

    def switch(self, service: str, now_s: float) -> bool:
        """Whether the service is in trouble at this moment."""
        course = self.courses[service]
        open_rules = (
            self._watch.fired(service) if course.current is not None else self._watch.begun(service)
        )
        return course.advance(now_s, open_rules, self._rules)

    def sent(self, service: str, sick: bool) -> None:
        """The broker has what makes the service so."""
        outbreaks = self.courses[service].outbreaks
        if not outbreaks:
            return
        last = outbreaks[-1]
        if sick and last.sick_s is None:
            last.sick_s = time.time()
        if not sick and last.ended_s is not None and last.well_s is None:
            last.well_s = time.time()

    def finish(self) -> None:
        """No outbreak begins any more."""
        for course in self.courses.values():
            course.finish()

    @property
    def outbreaks(self) -> list[Outbreak]:
        """Everything that there was."""
        return [each for course in self.courses.values() for each in course.outbreaks]

    @property
    def is_quiet(self) -> bool:
        """Whether every service is well, and the broker knows."""
        return all(_is_quiet(course) for course in self.courses.values())


def _is_quiet(course: Course) -> bool:
    return course.is_quiet and all(each.well_s is not None for each in course.outbreaks)
