"""Silences: for how long, and about what, nobody is to be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a silence is matched against: the alert's rule, service, severity and metric."""

    rule_name: str
    service: str
    severity: str
    metric_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A silence from `starts_s` up to, not including, `ends_s` (epoch seconds).

    Each matcher that is not None has to be equal to the subject's; one without any matcher silences nothing, for that
    is more often a mistake than a wish.
    """

    id: int
    starts_s: float
    ends_s: float
    rule_name: str | None = None
    service: str | None = None
    severity: str | None = None
    metric_name: str | None = None

    def covers(self, subject: Subject, now_s: float) -> bool:
        """Whether it is in force and about this subject."""
        wanted = [
            (mine, theirs)
            for mine, theirs in (
                (self.rule_name, subject.rule_name),
                (self.service, subject.service),
                (self.severity, subject.severity),
                (self.metric_name, subject.metric_name),
            )
            if mine is not None
        ]
        return (
            self.starts_s <= now_s < self.ends_s
            and bool(wanted)
            and all(mine == theirs for mine, theirs in wanted)
        )


def silence_of(subject: Subject, silences: Iterable[Silence], now_s: float) -> Silence | None:
    """The first silence that covers the subject now, if any does."""
    return next((silence for silence in silences if silence.covers(subject, now_s)), None)
