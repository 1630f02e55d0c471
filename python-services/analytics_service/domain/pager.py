"""What a channel that keeps episodes itself (PagerDuty) is to be told: one action of one episode at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics_service.domain.episodes import Episode, Kind, Pending, Told
from analytics_service.domain.notices import PagerAction
from analytics_service.domain.silences import Silence
from analytics_service.domain.telling import (
    NEW_CHANNEL,
    USUAL_PACE,
    Channel,
    Hush,
    Pace,
    Reason,
    needs_telling_late,
    severity_rank,
)


@dataclass(frozen=True, slots=True)
class Event:
    """An action that is due. `is_past`: it is over already, and triggered only so that it is on record."""

    episode: Episode
    kind: Kind
    is_past: bool = False

    @property
    def action(self) -> PagerAction:
        """As the other side calls it."""
        if self.kind == "firing":
            return "trigger"
        return "acknowledge" if self.kind == "acknowledged" else "resolve"


@dataclass(frozen=True, slots=True)
class PagerDecision:
    """Events that are due, criticals first; the rest as in `Decision`."""

    events: tuple[Event, ...]
    next_s: float | None
    withheld: Mapping[str, Reason]
    settled: tuple[str, ...] = ()


def decide_events(
    episodes: Sequence[Episode],
    told: Mapping[str, Told],
    silences: Sequence[Silence],
    now_s: float,
    pace: Pace = USUAL_PACE,
    channel: Channel = NEW_CHANNEL,
    pending: Sequence[Pending] = (),
) -> PagerDecision:
    """What is due: each action once, never grouped, no repeats. Whatever was triggered is resolved."""
    moments = [m for each in silences for m in (each.starts_s, each.ends_s) if m > now_s]
    hush = Hush(episodes, silences, now_s, pending, pace)
    moments += hush.moments
    due: list[Event] = []
    withheld: dict[str, Reason] = {}
    settled: list[str] = []
    for episode in episodes:
        last = told.get(episode.episode_id)
        hushed = hush.reason(episode)
        event = _event(episode, last, hushed, pace, channel)
        if event is not None:
            is_tried = last is not None and last.result == "trying" and last.kind == event.kind
            moment = last.next_try_s if last is not None and is_tried else None
            if moment is None or moment <= now_s:
                due.append(event)
            else:
                withheld[episode.episode_id] = "waiting"
                moments.append(moment)
        elif episode.status != "pending":
            withheld[episode.episode_id] = _why_not(episode, last, hushed)
            if episode.status == "resolved":
                settled.append(episode.episode_id)
    return PagerDecision(
        tuple(sorted(due, key=_rank)), min(moments, default=None), withheld, tuple(settled)
    )


def _event(
    episode: Episode, last: Told | None, hushed: Reason | None, pace: Pace, channel: Channel
) -> Event | None:
    if last is not None and last.has_fired_there:
        return _after_trigger(episode, last)
    if last is not None and last.is_the_end:
        return Event(episode, "resolved") if last.result == "trying" else None
    if episode.status == "resolved":
        return _over_without_trigger(episode, last, hushed, pace, channel)
    if episode.status == "acknowledged" and last is not None and last.may_have_fired_there:
        # It would go on calling people there; where nothing is open an acknowledgement does no harm.
        return Event(episode, "acknowledged")
    is_refused = last is not None and last.result == "failed"
    if last is not None and is_refused and last.at_s < channel.refused_before_s:
        is_refused = False
    tellable = hushed is None and episode.status == "active" and not is_refused
    return Event(episode, "firing") if tellable else None


def _over_without_trigger(
    episode: Episode, last: Told | None, hushed: Reason | None, pace: Pace, channel: Channel
) -> Event | None:
    if hushed is not None:
        may_be_there = last is not None and last.may_have_fired_there
        return Event(episode, "resolved") if may_be_there else None
    late = (last is None or last.result != "failed") and needs_telling_late(
        episode, last, pace, channel
    )
    return Event(episode, "firing", is_past=True) if late else None


def _after_trigger(episode: Episode, last: Told) -> Event | None:
    if episode.status == "resolved":
        return Event(episode, "resolved")
    if episode.status != "acknowledged":
        return None
    done = last.kind == "acknowledged" and last.result != "trying"
    return None if done else Event(episode, "acknowledged")


def _why_not(episode: Episode, last: Told | None, hushed: Reason | None) -> Reason:
    if last is not None:
        return "refused" if last.result == "failed" else "told"
    if hushed is not None:
        return hushed
    if episode.status == "resolved":
        return "over before it was told"
    return "acknowledged" if episode.status == "acknowledged" else "told"


def _rank(event: Event) -> tuple[bool, int, float]:
    return (
        event.action != "trigger" or event.is_past,
        severity_rank(event.episode),
        event.episode.since_s,
    )
