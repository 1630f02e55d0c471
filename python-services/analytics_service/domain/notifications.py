"""Whom to tell what, and when: decided from the episodes, from what was told, and from the time. Pure.

One channel at a time. Nothing here sends anything: it says what is due, and of everything else why not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from analytics_service.domain.silences import Silence, Subject, silence_of

EpisodeStatus = Literal["active", "acknowledged", "resolved"]
Kind = Literal["firing", "repeat", "resolved"]
Reason = Literal["told", "silenced", "muted", "acknowledged", "over before it was told", "waiting"]

DIGEST_ABOVE: Final = 10
SHOWN_IN_DIGEST: Final = 10
_RANK: Final = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert as it is now, and since when it is so (epoch seconds); `value` in the metric's unit."""

    episode_id: str
    subject: Subject
    status: EpisodeStatus
    since_s: float
    sequence: int
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What this channel was told of an episode last, and when."""

    kind: Kind
    at_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How a channel is spoken to, in seconds."""

    group_wait_s: float = 1.0
    group_interval_s: float = 60.0
    repeat_s: float = 14_400.0


@dataclass(frozen=True, slots=True)
class Item:
    """One episode in a message."""

    episode: Episode
    kind: Kind


@dataclass(frozen=True, slots=True)
class Group:
    """What is to be said about one service in one message; the worst first."""

    service: str
    items: tuple[Item, ...]

    @property
    def rank(self) -> tuple[int, str]:
        """Worse groups are lower."""
        return min(_rank(item) for item in self.items), self.service


@dataclass(frozen=True, slots=True)
class Decision:
    """Groups that are due, the moment when there is something to decide again (None: when something happens), and
    why other episodes are not spoken of, by episode."""

    groups: tuple[Group, ...]
    next_s: float | None
    withheld: Mapping[str, Reason]


def wanted(
    episode: Episode, told: Told | None, hushed: Reason | None, now_s: float, repeat_s: float
) -> Kind | None:
    """What to say of an episode now; None: nothing. `hushed` is why it may not be told as firing.

    Whatever was told as firing is told as resolved, also when it has been silenced since.
    """
    was_told = told is not None and told.kind != "resolved"
    if episode.status == "resolved":
        return "resolved" if was_told else None
    if hushed is not None or episode.status == "acknowledged":
        return None
    if told is None or not was_told:
        return "firing"
    return "repeat" if now_s - told.at_s >= repeat_s else None


def why_not(episode: Episode, told: Told | None, hushed: Reason | None) -> Reason:
    """Why nothing is said of an episode of which `wanted` says nothing."""
    if episode.status == "resolved":
        return "told" if told is not None else "over before it was told"
    if hushed is not None:
        return hushed
    return "acknowledged" if episode.status == "acknowledged" else "told"


def hushed_by(
    episode: Episode, open_episodes: Iterable[Episode], silences: Iterable[Silence], now_s: float
) -> Reason | None:
    """Why nobody is to hear of an open episode: a silence, or its critical twin about the same service and metric."""
    if silence_of(episode.subject, silences, now_s) is not None:
        return "silenced"
    if episode.subject.severity == "warning" and any(
        other.subject.severity == "critical"
        and other.subject.service == episode.subject.service
        and other.subject.metric_name == episode.subject.metric_name
        for other in open_episodes
    ):
        return "muted"
    return None


def decide(
    episodes: Sequence[Episode],
    told: Mapping[str, Told],
    silences: Sequence[Silence],
    group_told_s: Mapping[str, float],
    now_s: float,
    pace: Pace = Pace(),
) -> Decision:
    """What is due on a channel that groups by service.

    `told` is by episode, `group_told_s` by service: when its group was last spoken of. A group waits a moment for
    company, and a while after it was last spoken of.
    """
    open_episodes = [episode for episode in episodes if episode.status != "resolved"]
    withheld: dict[str, Reason] = {}
    items: dict[str, list[Item]] = {}
    moments: list[float] = []
    for episode in episodes:
        last = told.get(episode.episode_id)
        hushed = None
        if episode.status != "resolved":
            hushed = hushed_by(episode, open_episodes, silences, now_s)
        kind = wanted(episode, last, hushed, now_s, pace.repeat_s)
        if kind is not None:
            items.setdefault(episode.subject.service, []).append(Item(episode, kind))
            continue
        reason = withheld[episode.episode_id] = why_not(episode, last, hushed)
        if reason == "told" and last is not None and episode.status == "active":
            moments.append(last.at_s + pace.repeat_s)
    moments += [
        moment
        for silence in silences
        for moment in (silence.starts_s, silence.ends_s)
        if moment > now_s
    ]
    due: list[Group] = []
    for service, waiting in items.items():
        moment = _due_at(waiting, group_told_s.get(service), pace)
        if moment <= now_s:
            due.append(Group(service, tuple(sorted(waiting, key=_rank))))
        else:
            moments.append(moment)
            withheld.update({item.episode.episode_id: "waiting" for item in waiting})
    return Decision(
        tuple(sorted(due, key=lambda group: group.rank)), min(moments, default=None), withheld
    )


def needs_digest(waiting_groups: int) -> bool:
    """Whether so many groups are told in one digest instead of one by one."""
    return waiting_groups > DIGEST_ABOVE


def worst(items: Iterable[Item], most: int = SHOWN_IN_DIGEST) -> list[Item]:
    """The items that a digest names: criticals first, then those that have lasted longest."""
    return sorted(items, key=lambda item: (_rank(item), item.episode.since_s))[:most]


def _due_at(waiting: Sequence[Item], last_told_s: float | None, pace: Pace) -> float:
    begun = min(item.episode.since_s for item in waiting) + pace.group_wait_s
    if any(item.kind == "repeat" for item in waiting):
        begun = float("-inf")
    return begun if last_told_s is None else max(begun, last_told_s + pace.group_interval_s)


def _rank(item: Item) -> int:
    return _RANK.get(item.episode.subject.severity, len(_RANK)) + (
        len(_RANK) + 1 if item.kind == "resolved" else 0
    )


Action = Literal["trigger", "acknowledge", "resolve"]


@dataclass(frozen=True, slots=True)
class Event:
    """What a channel that knows episodes itself (PagerDuty) is to be told: one action of one episode."""

    episode: Episode
    action: Action


def decide_events(
    episodes: Sequence[Episode],
    told: Mapping[str, Action],
    silences: Sequence[Silence],
    now_s: float,
) -> tuple[Event, ...]:
    """What is due on a channel that keeps the episodes itself: each action once, criticals first, never grouped.

    `told` is the last action by episode. Whatever was triggered is resolved.
    """
    open_episodes = [episode for episode in episodes if episode.status != "resolved"]
    due = []
    for episode in episodes:
        last = told.get(episode.episode_id)
        action: Action | None = None
        if episode.status == "resolved":
            action = "resolve" if last in ("trigger", "acknowledge") else None
        elif last is None:
            hushed = hushed_by(episode, open_episodes, silences, now_s)
            action = "trigger" if hushed is None and episode.status == "active" else None
        elif episode.status == "acknowledged" and last == "trigger":
            action = "acknowledge"
        if action is not None:
            due.append(Event(episode, action))
    return tuple(sorted(due, key=_event_rank))


def _event_rank(event: Event) -> tuple[bool, int, float]:
    subject = event.episode.subject
    return event.action != "trigger", _RANK.get(subject.severity, len(_RANK)), event.episode.since_s
