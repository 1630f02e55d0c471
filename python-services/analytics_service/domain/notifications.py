"""Whom to tell what, and when: decided from the episodes, from what was told, and from the time. Pure.

One channel at a time. Nothing here sends anything: it says what is due, and of everything else why not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from analytics_service.domain.episodes import Episode, Kind, Pending, Told
from analytics_service.domain.notices import RANK
from analytics_service.domain.silences import Silence
from analytics_service.domain.telling import (
    NEW_CHANNEL,
    USUAL_PACE,
    Channel,
    Hush,
    Pace,
    Reason,
    severity_rank,
    wanted,
)

DIGEST_ABOVE: Final = 10
SHOWN_IN_DIGEST: Final = 10


@dataclass(frozen=True, slots=True)
class Item:
    """One episode in a message; `repetition` numbers repeats."""

    episode: Episode
    kind: Kind
    repetition: int = 0


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
    why other episodes are not spoken of, by episode.

    `is_digest`: the groups are so many that one message tells of all. `settled`: episodes that this channel will
    never speak of again.
    """

    groups: tuple[Group, ...]
    next_s: float | None
    withheld: Mapping[str, Reason]
    is_digest: bool = False
    settled: tuple[str, ...] = ()


@dataclass(slots=True)
class _Waiting:
    """What is gathered while looking at the episodes."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)
    withheld: dict[str, Reason] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)

    def ready(self, now_s: float) -> dict[str, list[Item]]:
        """By service, what does not wait for the time of another attempt; the rest holds up none of it."""
        found: dict[str, list[Item]] = {}
        for service, items in self.items.items():
            for item in items:
                moment = self.not_before.get(item.episode.episode_id, now_s)
                if moment <= now_s:
                    found.setdefault(service, []).append(item)
                else:
                    self.moments.append(moment)
        return found


def decide(
    episodes: Sequence[Episode],
    told: Mapping[str, Told],
    silences: Sequence[Silence],
    group_told_s: Mapping[str, float],
    now_s: float,
    pace: Pace = USUAL_PACE,
    channel: Channel = NEW_CHANNEL,
    pending: Sequence[Pending] = (),
) -> Decision:
    """What is due on a channel that groups by service.

    `told` is by episode, `group_told_s` by service: when its group was last spoken of. A group waits a moment for
    company, and a while after it was last spoken of. `pending`: alerts that have not fired yet.
    """
    hush = Hush(episodes, silences, now_s, pending, pace)
    changes_s = [m for each in silences for m in (each.starts_s, each.ends_s) if m > now_s]
    waiting = _Waiting(moments=changes_s + hush.moments)
    for episode in episodes:
        _look(episode, told.get(episode.episode_id), hush, waiting, now_s, pace, channel)
    ready = waiting.ready(now_s)
    if needs_digest(len(ready)):
        moment = _digest_at(ready, waiting.not_before, pace, channel)
        if moment <= now_s:
            return _decision(waiting, ready, is_digest=True)
        waiting.moments.append(moment)
        return _decision(waiting, {})
    due = {}
    for service, items in ready.items():
        moment = _due_at(items, waiting.not_before, group_told_s.get(service), pace)
        if moment <= now_s:
            moment = _with_company(service, items, pending, pace)
        if moment <= now_s:
            due[service] = items
        else:
            waiting.moments.append(moment)
    return _decision(waiting, due)


def needs_digest(waiting_groups: int) -> bool:
    """Whether so many groups are told in one digest instead of one by one."""
    return waiting_groups > DIGEST_ABOVE


def worst(items: Iterable[Item], most: int = SHOWN_IN_DIGEST) -> list[Item]:
    """The items that a digest names: criticals first, then those that have lasted longest."""
    return sorted(items, key=lambda item: (_rank(item), item.episode.since_s))[:most]


def _look(
    episode: Episode,
    last: Told | None,
    hush: Hush,
    waiting: _Waiting,
    now_s: float,
    pace: Pace,
    channel: Channel,
) -> None:
    name = episode.episode_id
    hushed = hush.reason(episode)
    kind = wanted(episode, last, hushed, now_s, pace, channel)
    if kind is not None:
        repetition = 0
        if kind == "repeat" and last is not None:
            repetition = last.repetition + (0 if last.result == "trying" else 1)
        waiting.items.setdefault(episode.subject.service, []).append(
            Item(episode, kind, repetition)
        )
        if last is not None and last.result == "trying" and last.kind == kind:
            waiting.not_before[name] = last.next_try_s or float("-inf")
        return
    if episode.status == "pending":
        return
    reason = waiting.withheld[name] = _why_not(episode, last, hushed)
    if episode.status == "resolved":
        waiting.settled.append(name)
    elif reason in ("told", "refused") and last is not None:
        waiting.moments.append(last.at_s + pace.repeat_s)


def _why_not(episode: Episode, last: Told | None, hushed: Reason | None) -> Reason:
    if last is not None and last.result == "failed":
        return "refused"
    if episode.status == "resolved":
        if last is not None:
            return "told"
        return "over before it was told" if hushed is None else hushed
    if hushed is not None:
        return hushed
    return "acknowledged" if episode.status == "acknowledged" else "told"


def _decision(
    waiting: _Waiting, due: Mapping[str, list[Item]], *, is_digest: bool = False
) -> Decision:
    groups = [Group(service, tuple(sorted(items, key=_rank))) for service, items in due.items()]
    told = {item.episode.episode_id for items in due.values() for item in items}
    untold = {i.episode.episode_id for items in waiting.items.values() for i in items} - told
    waiting.withheld |= dict.fromkeys(untold, "waiting")
    return Decision(
        tuple(sorted(groups, key=lambda group: group.rank)),
        min(waiting.moments, default=None),
        waiting.withheld,
        is_digest,
        tuple(waiting.settled),
    )


def _due_at(
    items: Sequence[Item],
    not_before: Mapping[str, float],
    last_told_s: float | None,
    pace: Pace,
) -> float:
    """When a group is due: after its wait and its interval."""
    if any(item.episode.episode_id in not_before for item in items):
        # It has waited already, and its time to be tried again has come: what is new goes along.
        return float("-inf")
    begun = min(item.episode.since_s for item in items) + pace.group_wait_s
    if any(item.kind == "repeat" for item in items):
        begun = float("-inf")
    return begun if last_told_s is None else max(begun, last_told_s + pace.group_interval_s)


def _with_company(
    service: str, items: Sequence[Item], pending: Iterable[Pending], pace: Pace
) -> float:
    """When a group that is due goes out: with those that fire any moment, if it tells of something new."""
    begun = [item.episode.since_s for item in items if item.kind == "firing"]
    if not begun:
        return float("-inf")
    last_moment = min(begun) + pace.company_s
    awaited = [
        each.fires_s + pace.group_wait_s
        for each in pending
        if each.subject.service == service and each.fires_s <= last_moment
    ]
    return min(last_moment, max(awaited, default=float("-inf")))


def _digest_at(
    ready: Mapping[str, list[Item]], not_before: Mapping[str, float], pace: Pace, channel: Channel
) -> float:
    """When a digest is due: the storm is over, or has been waited for long enough."""
    fresh = [
        item.episode.since_s
        for items in ready.values()
        for item in items
        if item.kind != "repeat" and item.episode.episode_id not in not_before
    ]
    moment = float("-inf")
    if fresh:
        quiet = max(fresh) + max(pace.storm_quiet_s, pace.group_wait_s)
        moment = min(quiet, min(fresh) + max(pace.storm_wait_s, pace.group_wait_s))
    if channel.digest_s is not None:
        moment = max(moment, channel.digest_s + pace.group_interval_s)
    return moment


def _rank(item: Item) -> int:
    over = item.kind in ("resolved", "passed")
    return severity_rank(item.episode) + (len(RANK) + 1 if over else 0)
