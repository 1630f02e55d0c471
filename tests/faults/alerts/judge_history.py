"""The history beside what may be in it: legal steps, numbers without gaps, one open alert at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from tests.faults.alerts.records import Alert, Records, Seen, Step

# Everything else is not a step that an alert can take.
LEGAL = {
    ("inactive", "pending"),
    ("inactive", "active"),
    ("pending", "active"),
    ("active", "acknowledged"),
    ("active", "resolved"),
    ("acknowledged", "resolved"),
}
# Times go through text with microseconds.
SAME_S = 0.001


def episodes(steps: Iterable[Step]) -> dict[str, list[Step]]:
    """Steps by episode, in the order they come in."""
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.episode_id, []).append(step)
    return found


def judge_history(records: Records) -> Iterator[str]:
    """What is wrong with history and alerts, a sentence each."""
    by_episode = {
        name: sorted(steps, key=lambda step: step.sequence)
        for name, steps in episodes(records.history).items()
    }
    alerts = {alert.episode_id: alert for alert in records.alerts}
    for name, steps in by_episode.items():
        yield from _steps(name, steps)
        if name not in alerts:
            yield f"episode {name} has a history and no alert"
    for name, alert in alerts.items():
        yield from _alert(alert, by_episode.get(name, []), records)
    yield from _one_at_a_time(records.alerts)
    yield from _nothing_restarted(records.seen, {a.alert_id: a for a in records.alerts})


def _steps(name: str, steps: list[Step]) -> Iterator[str]:
    numbers = [step.sequence for step in steps]
    if numbers != list(range(1, len(steps) + 1)):
        yield f"episode {name}: sequences {numbers}"
    if steps[0].from_status != "inactive":
        yield f"episode {name} begins as {steps[0].from_status}"
    for step in steps:
        if (step.from_status, step.to_status) not in LEGAL:
            yield f"episode {name}: {step.from_status} -> {step.to_status}"
    for before, after in pairwise(steps):
        if before.to_status != after.from_status:
            yield f"episode {name}: {before.to_status}, and then from {after.from_status}"
        if after.at_s < before.at_s - SAME_S:
            yield f"episode {name}: step {after.sequence} is older than the one before"
    if steps[-1].to_status != "resolved":
        yield f"episode {name} is {steps[-1].to_status} although everything is over"


def _alert(alert: Alert, steps: list[Step], records: Records) -> Iterator[str]:
    name = f"alert {alert.alert_id} ({alert.rule} of {alert.service})"
    if not steps:
        yield f"{name} is {alert.status} and has no history"
        return
    at = {step.to_status: step.at_s for step in steps}
    for what, held, told in (
        ("fired", alert.active_s, at.get("active")),
        ("was resolved", alert.resolved_s, at.get("resolved")),
    ):
        if (held is None) != (told is None) or abs((held or 0.0) - (told or 0.0)) > SAME_S:
            yield f"{name} {what} at {held}, at {told} by its history"
    begun = at.get("pending", at.get("active"))
    if alert.pending_s is None or begun is None or abs(alert.pending_s - begun) > SAME_S:
        yield f"{name} was pending since {alert.pending_s}, since {begun} by its history"
    rule = next((rule for rule in records.rules if rule.name == alert.rule), None)
    if rule is None:
        yield f"{name} is of no rule that there was"
    elif begun is not None and "active" in at and at["active"] - begun < rule.duration_s - SAME_S:
        yield f"{name} fired after {at['active'] - begun:.3f} s, not {rule.duration_s:g}"


def _one_at_a_time(alerts: Iterable[Alert]) -> Iterator[str]:
    by_place: dict[tuple[str, str], list[Alert]] = {}
    for alert in alerts:
        by_place.setdefault((alert.rule, alert.service), []).append(alert)
    for place, held in by_place.items():
        held.sort(key=lambda alert: alert.pending_s or 0.0)
        for before, after in pairwise(held):
            if before.resolved_s is None or before.resolved_s > (after.pending_s or 0.0) + SAME_S:
                yield f"{place}: alerts {before.alert_id} and {after.alert_id} were open at once"


def _nothing_restarted(seen: Iterable[Seen], alerts: Mapping[int, Alert]) -> Iterator[str]:
    first: dict[int, Seen] = {}
    for look in seen:
        begun = first.setdefault(look.alert_id, look)
        if begun.pending_s != look.pending_s:
            yield f"alert {look.alert_id}: pending since {begun.pending_s}, later {look.pending_s}"
        if begun.active_s is None and look.active_s is not None:
            first[look.alert_id] = look
        elif begun.active_s != look.active_s:
            yield f"alert {look.alert_id}: active since {begun.active_s}, later {look.active_s}"
    for number, look in first.items():
        held = alerts.get(number)
        if held is None and look.active_s is not None:
            yield f"alert {number} was seen active and is gone"
        if held is not None and (held.pending_s, held.active_s or look.active_s) != (
            look.pending_s,
            look.active_s or held.active_s,
        ):
            yield f"alert {number} was seen with other times than it has in the end"
