"""Whole nights of alerts on a clock of their own: whatever happens, nothing repeats and nothing vanishes."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_service.domain.episodes import Episode, EpisodeStatus, Result, Told
from analytics_service.domain.notifications import decide
from analytics_service.domain.pager import decide_events
from analytics_service.domain.silences import Subject
from analytics_service.domain.telling import Pace

PACE = Pace(group_wait_s=1, group_interval_s=20, repeat_s=100)
TICK_S = 1.0
NIGHT_S = 400
LONG_AFTER_S = 400


@dataclass(frozen=True)
class Life:
    """When an alert fires, is acknowledged (or not), and is over; whole seconds."""

    service: int
    fires_s: int
    lasts_s: int
    acknowledged_s: int | None

    def at(self, now_s: float, name: str) -> Episode | None:
        """The episode as it is at a moment; None: it has not fired yet."""
        if now_s < self.fires_s:
            return None
        status: EpisodeStatus = "active"
        since = self.fires_s
        if self.acknowledged_s is not None and now_s >= self.fires_s + self.acknowledged_s:
            status, since = "acknowledged", self.fires_s + self.acknowledged_s
        if now_s >= self.fires_s + self.lasts_s:
            status, since = "resolved", self.fires_s + self.lasts_s
        subject = Subject(
            rule_name=name, service=f"s{self.service}", severity="critical", metric_name=name
        )
        return Episode(
            name, subject, status, since, 1, active_s=self.fires_s, heard_s=self.fires_s + 0.1
        )


lives = st.builds(
    Life,
    service=st.integers(0, 14),
    fires_s=st.integers(0, 200),
    lasts_s=st.integers(1, 190),
    acknowledged_s=st.none() | st.integers(1, 100),
)
# Spells in which the other side does not work.
outages = st.lists(st.tuples(st.integers(0, NIGHT_S), st.integers(1, 60)), max_size=4)


@dataclass
class Log:
    """What arrived, by episode: (kind, moment)."""

    arrived: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    messages: list[float] = field(default_factory=list)

    def kinds(self, name: str) -> list[str]:
        """In the order of arrival."""
        return [kind for kind, _ in self.arrived.get(name, [])]


def works(spells: list[tuple[int, int]], now_s: float) -> bool:
    """Whether the other side answers."""
    return not any(first <= now_s < first + length for first, length in spells)


def grouped_night(nights_lives: list[Life], spells: list[tuple[int, int]]) -> Log:
    """A channel with groups, looked at every second."""
    log, told, groups = Log(), dict[str, Told](), dict[str, float]()
    for tick in range(int((NIGHT_S + LONG_AFTER_S) / TICK_S)):
        now = tick * TICK_S
        found = (life.at(now, f"e{n}") for n, life in enumerate(nights_lives))
        decision = decide([e for e in found if e is not None], told, [], groups, now, PACE)
        answers = works(spells, now)
        result: Result = "sent" if answers else "trying"
        if decision.groups and answers:
            log.messages.append(now)
        for group in decision.groups:
            for item in group.items:
                name = item.episode.episode_id
                told[name] = Told(item.kind, now, result, now + 5, item.repetition)
                if answers:
                    log.arrived.setdefault(name, []).append((item.kind, now))
                    groups[group.service] = now
    return log


def pager_night(nights_lives: list[Life], spells: list[tuple[int, int]]) -> Log:
    """A channel that keeps episodes itself."""
    log, told = Log(), dict[str, Told]()
    for tick in range(int((NIGHT_S + LONG_AFTER_S) / TICK_S)):
        now = tick * TICK_S
        found = (life.at(now, f"e{n}") for n, life in enumerate(nights_lives))
        decision = decide_events([e for e in found if e is not None], told, [], now, PACE)
        answers = works(spells, now)
        for event in decision.events:
            name = event.episode.episode_id
            told[name] = Told(event.kind, now, "sent" if answers else "trying", now + 5)
            if answers:
                log.arrived.setdefault(name, []).append((event.action, now))
    return log


@settings(max_examples=60)
@given(st.lists(lives, max_size=20), outages)
def test_a_channel_with_groups(nights_lives: list[Life], spells: list[tuple[int, int]]) -> None:
    log = grouped_night(nights_lives, spells)
    for number, life in enumerate(nights_lives):
        kinds = log.kinds(f"e{number}")
        if kinds == ["passed"] or not kinds:
            # Only what came and went within an interval, was taken on, or found nobody there is not told as firing.
            hampered = life.lasts_s <= PACE.group_interval_s + 15 or life.acknowledged_s is not None
            assert hampered or spells
            continue
        assert kinds[0] == "firing"
        assert kinds[-1] == "resolved"
        assert set(kinds[1:-1]) <= {"repeat"}
        moments = [moment for _, moment in log.arrived[f"e{number}"]]
        for (kind, moment), before in zip(log.arrived[f"e{number}"][1:], moments, strict=False):
            assert kind == "resolved" or moment - before >= PACE.repeat_s
        if life.acknowledged_s is not None:
            after = [
                k for k, m in log.arrived[f"e{number}"] if m > life.fires_s + life.acknowledged_s
            ]
            assert after == ["resolved"] or kinds == ["firing", "resolved"]


@settings(max_examples=60)
@given(st.lists(lives, max_size=20), outages)
def test_a_channel_that_keeps_episodes(
    nights_lives: list[Life], spells: list[tuple[int, int]]
) -> None:
    log = pager_night(nights_lives, spells)
    for number, life in enumerate(nights_lives):
        kinds = log.kinds(f"e{number}")
        was_taken_on_first = life.acknowledged_s is not None and not works(spells, life.fires_s)
        if not kinds:
            assert was_taken_on_first
            continue
        if kinds[0] != "trigger":
            # Nobody knows there whether the trigger has arrived: somebody has taken it on meanwhile.
            assert was_taken_on_first
            assert kinds in (["acknowledge", "resolve"], ["resolve"])
            continue
        assert kinds[-1] == "resolve"
        assert kinds[1:-1] in ([], ["acknowledge"])
        assert len(kinds) == len(set(kinds))


def test_a_quiet_night_of_one_alert() -> None:
    """Fires at 10, is over at 150; told after a second, repeated after 100 s, over at once."""
    log = grouped_night([Life(0, 10, 140, None)], [])
    assert log.arrived == {"e0": [("firing", 11.0), ("repeat", 111.0), ("resolved", 151.0)]}
    assert pager_night([Life(0, 10, 140, None)], []).arrived == {
        "e0": [("trigger", 10.0), ("resolve", 150.0)]
    }
