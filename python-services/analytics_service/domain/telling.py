"""Whether anybody is to hear of one episode, and as what: silences, critical twins, what was told before. Pure.

One channel at a time; when it is told, and beside what, is for `notifications` and `pager`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from analytics_service.domain.episodes import Episode, Kind, Pending, Told
from analytics_service.domain.notices import RANK
from analytics_service.domain.silences import Silence, Subject, silence_of

Reason = Literal[
    "told", "silenced", "muted", "acknowledged", "over before it was told", "waiting", "refused"
]
Twin = tuple[str, str]
"""(service, metric)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a channel is spoken to, in seconds.

    A group waits for alerts of its service that are about to fire, `company_s` at most. In a storm (more groups than
    are told one by one) the digest waits until nothing new has fired for `storm_quiet_s`, `storm_wait_s` at most.
    """

    group_wait_s: float = 1.0
    group_interval_s: float = 60.0
    repeat_s: float = 14_400.0
    company_s: float = 10.0
    storm_quiet_s: float = 3.0
    storm_wait_s: float = 15.0

    @property
    def missed_s(self) -> float:
        """Who heard of an alert so much later than it fired was away: what is over by then is still told."""
        return self.group_wait_s + self.group_interval_s

    @property
    def untold_s(self) -> float:
        """What lasts no longer may come and go while its group waits: nobody is told of it."""
        return self.missed_s + max(self.company_s, self.storm_wait_s)


@dataclass(frozen=True, slots=True)
class Channel:
    """What is remembered of the channel itself.

    `on_since_s`: since when it is configured; what was over before is none of its business. `digest_s`: when the last
    digest was sent. `refused_before_s`: what was refused for good before this moment may be tried once more (the
    notifier was started anew since, perhaps with other settings).
    """

    on_since_s: float = float("-inf")
    digest_s: float | None = None
    refused_before_s: float = float("-inf")


USUAL_PACE: Final = Pace()
NEW_CHANNEL: Final = Channel()


class Hush:
    """Why nobody is to hear of an episode as firing: a silence, or its critical twin.

    `moments`: when twins that are about to fire mute no longer, even if nothing happens (epoch seconds).
    """

    def __init__(
        self,
        episodes: Iterable[Episode],
        silences: Sequence[Silence],
        now_s: float,
        pending: Iterable[Pending] = (),
        pace: Pace = USUAL_PACE,
    ) -> None:
        self._silences = silences
        self._now_s = now_s
        # One that is about to fire mutes already: people are not woken twice in a minute about the same thing. One that
        # should have fired long ago does not: whoever evaluates is not there.
        about_to_fire = [
            each
            for each in pending
            if each.subject.severity == "critical"
            and now_s - pace.company_s < each.fires_s <= now_s + pace.company_s
        ]
        self.moments = [each.fires_s + pace.company_s for each in about_to_fire]
        self._open = {_twin(each.subject) for each in about_to_fire}
        self._critical: set[Twin] = set()
        for episode in episodes:
            if episode.subject.severity == "critical" and episode.status != "pending":
                self._critical.add(_twin(episode.subject))
                if episode.status != "resolved":
                    self._open.add(_twin(episode.subject))

    def reason(self, episode: Episode) -> Reason | None:
        """None: it may be told. For one that is over, what held when it fired counts as well."""
        is_over = episode.status == "resolved"
        if silence_of(episode.subject, self._silences, self._now_s) is not None:
            return "silenced"
        if is_over and silence_of(episode.subject, self._silences, episode.fired_s) is not None:
            return "silenced"
        twins = self._critical if is_over else self._open
        if episode.subject.severity == "warning" and _twin(episode.subject) in twins:
            return "muted"
        return None


def needs_telling_late(episode: Episode, last: Told | None, pace: Pace, channel: Channel) -> bool:
    """Whether an episode that is over and was never told has to be told all the same.

    So it is when telling was tried in vain, when the notifier was away while it fired, and when it lasted longer than
    any group waits (the channel was paused, its breaker open, or the notifier gone meanwhile) and was not kept back on
    purpose; not when it came and went within the time that a group waits anyway.
    """
    if last is not None:
        return last.kind == "firing" and last.result != "sent"
    if episode.fired_s < channel.on_since_s:
        return False
    was_away = episode.heard_s is not None and episode.heard_s - episode.fired_s > pace.missed_s
    lasted_s = episode.since_s - episode.fired_s
    return was_away or (lasted_s > pace.untold_s and not episode.was_kept_back)


def wanted(
    episode: Episode,
    last: Told | None,
    hushed: Reason | None,
    now_s: float,
    pace: Pace,
    channel: Channel,
) -> Kind | None:
    """What to say of an episode now; None: nothing. `hushed` is why it may not be told as firing.

    Whatever was told as firing, or may have been, is told as over, also when it has been silenced since.
    """
    if episode.status == "resolved":
        return _wanted_at_the_end(episode, last, hushed, pace, channel)
    if hushed is not None or episode.status != "active":
        return None
    if last is None or (last.kind == "firing" and last.result == "trying"):
        return "firing"
    if last.result == "trying":
        return last.kind
    if last.kind == "firing" and last.result == "failed" and last.at_s < channel.refused_before_s:
        return "firing"
    return "repeat" if now_s - last.at_s >= pace.repeat_s else None


def _wanted_at_the_end(
    episode: Episode, last: Told | None, hushed: Reason | None, pace: Pace, channel: Channel
) -> Kind | None:
    if last is not None and last.is_the_end:
        return last.kind if last.result == "trying" else None
    if last is not None and last.has_fired_there:
        return "resolved"
    if last is not None and last.may_have_fired_there:
        return "passed"
    late = hushed is None and needs_telling_late(episode, last, pace, channel)
    return "passed" if late else None


def severity_rank(episode: Episode) -> int:
    """Critical 0, and so on."""
    return RANK.get(episode.subject.severity, len(RANK))


def _twin(subject: Subject) -> Twin:
    return subject.service, subject.metric_name
