"""Silences: for how long, and about what, nobody is to be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ANYTHING: Final = "*"


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

    Each matcher that is not None has to match the subject's; one without any matcher silences nothing, for that is
    more often a mistake than a wish. In `rule_name` and `service` a `*` stands for any characters, none as well;
    everything else stands for itself.
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
        return self.starts_s <= now_s < self.ends_s and self.is_about(subject)

    def is_about(self, subject: Subject) -> bool:
        """Whether its matchers match, whenever it is in force."""
        if (self.rule_name, self.service, self.severity, self.metric_name) == (None,) * 4:
            return False
        return (
            self.severity in (None, subject.severity)
            and self.metric_name in (None, subject.metric_name)
            and (self.service is None or matches(self.service, subject.service))
            and (self.rule_name is None or matches(self.rule_name, subject.rule_name))
        )


def silence_of(subject: Subject, silences: Iterable[Silence], now_s: float) -> Silence | None:
    """The first silence that covers the subject now, if any does."""
    return next((silence for silence in silences if silence.covers(subject, now_s)), None)


def matches(pattern: str, text: str) -> bool:
    """Whether `text` is `pattern`, where each `*` of the pattern stands for any characters.

    Needs at most len(pattern) * len(text) steps, whatever people write.
    """
    if ANYTHING not in pattern:
        return pattern == text
    first, *inner, last = pattern.split(ANYTHING)
    end = len(text) - len(last)
    if end < len(first) or not text.startswith(first) or not text.endswith(last):
        return False
    # Each piece where it is found first: that leaves the most room for the pieces after it.
    place = len(first)
    for piece in inner:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
