"""What a channel is to be sent, as messages: the decision over everything that is known of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics_service.adapters.timescale.channel_state import ChannelState
from analytics_service.adapters.timescale.deliveries import ChannelView, Telling
from analytics_service.domain.notices import AlertLine, Notice, NoticeKind, PagerEvent, Trend
from analytics_service.domain.notifications import SHOWN_IN_DIGEST, Item, decide, worst
from analytics_service.domain.pager import Event, decide_events
from analytics_service.domain.silences import Silence
from analytics_service.domain.telling import Channel, Pace, Reason

_MESSAGES = uuid.UUID("5d1f7a7e-4f0b-4ac0-9b57-9a3e0c7f2b11")


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a channel; `event`: for one that keeps episodes itself."""

    tellings: tuple[Telling, ...]
    is_digest: bool = False
    event: Event | None = None

    def id_on(self, channel: str) -> str:
        """The same whenever the same is told there again."""
        parts = sorted(
            f"{telling.transition_id}/{telling.kind}/{telling.repetition}"
            for telling in self.tellings
        )
        return str(uuid.uuid5(_MESSAGES, " ".join([channel, *parts])))

    @property
    def services(self) -> set[str]:
        """The services it is about."""
        return {telling.known.episode.subject.service for telling in self.tellings}

    @property
    def shown(self) -> tuple[Telling, ...]:
        """What it says something of: everything, or the worst of a digest."""
        if not self.is_digest:
            return self.tellings
        by_episode = {telling.known.episode.episode_id: telling for telling in self.tellings}
        items = [Item(t.known.episode, t.kind, t.repetition) for t in self.tellings]
        return tuple(by_episode[i.episode.episode_id] for i in worst(items, SHOWN_IN_DIGEST))

    def content(
        self, channel: str, trends: Mapping[str, Trend], at_s: float, dashboard_url: str
    ) -> Notice | PagerEvent:
        """What it says; `at_s`: now, epoch seconds."""
        if self.event is not None:
            telling = self.tellings[0]
            return PagerEvent(
                action=self.event.action,
                line=_line(telling),
                at_s=at_s,
                trend=trends.get(telling.known.episode.subject.service),
                is_past=self.event.is_past,
                dashboard_url=dashboard_url,
            )
        return Notice(
            message_id=self.id_on(channel),
            at_s=at_s,
            lines=tuple(_line(telling) for telling in self.shown),
            is_digest=self.is_digest,
            alerts=len(self.tellings),
            services=len(self.services),
            trends=trends,
            dashboard_url=dashboard_url,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Messages that are due, the most urgent first; when there is something to decide again; why not, by episode."""

    messages: tuple[Message, ...]
    next_s: float | None
    withheld: Mapping[str, Reason]
    settled: Sequence[str]


def plan_groups(
    view: ChannelView,
    silences: Sequence[Silence],
    state: ChannelState,
    pace: Pace,
    refused_before_s: float,
) -> Plan:
    """The plan of a channel that is told a service's alerts together."""
    decision = decide(
        [known.episode for known in view.known.values()],
        view.told,
        silences,
        view.group_told_s,
        view.now_s,
        pace,
        _channel(state, refused_before_s),
        view.pending,
    )
    groups = [tuple(_telling(view, item) for item in group.items) for group in decision.groups]
    messages = tuple(Message(group) for group in groups)
    if decision.is_digest:
        messages = (Message(tuple(t for group in groups for t in group), is_digest=True),)
    return Plan(messages, decision.next_s, decision.withheld, decision.settled)


def plan_events(
    view: ChannelView,
    silences: Sequence[Silence],
    state: ChannelState,
    pace: Pace,
    refused_before_s: float,
) -> Plan:
    """The plan of a channel that keeps episodes itself."""
    decision = decide_events(
        [known.episode for known in view.known.values()],
        view.told,
        silences,
        view.now_s,
        pace,
        _channel(state, refused_before_s),
        view.pending,
    )
    messages = tuple(
        Message((Telling(view.known[event.episode.episode_id], event.kind),), event=event)
        for event in decision.events
    )
    return Plan(messages, decision.next_s, decision.withheld, decision.settled)


def _channel(state: ChannelState, refused_before_s: float) -> Channel:
    on_since_s = float("-inf") if state.on_since_s is None else state.on_since_s
    return Channel(on_since_s, state.digest_s, refused_before_s)


def _telling(view: ChannelView, item: Item) -> Telling:
    return Telling(view.known[item.episode.episode_id], item.kind, item.repetition)


def _line(telling: Telling) -> AlertLine:
    known, episode = telling.known, telling.known.episode
    kinds: dict[str, NoticeKind] = {
        "firing": "firing",
        "repeat": "repeat",
        "resolved": "resolved",
        "passed": "passed",
        "acknowledged": "firing",
    }
    return AlertLine(
        kind=kinds[telling.kind],
        alert_id=known.alert_id,
        episode_id=episode.episode_id,
        fingerprint=known.fingerprint,
        rule_name=episode.subject.rule_name,
        service=episode.subject.service,
        severity=episode.subject.severity,
        metric_name=episode.subject.metric_name,
        window_size=known.window_size,
        threshold=known.threshold,
        operator=known.operator,
        value=episode.value,
        description=known.description,
        active_since_s=episode.fired_s,
        resolved_s=episode.since_s if episode.status == "resolved" else None,
        actor=known.actor,
        comment=known.comment,
    )
