"""What the other sides were told beside the episodes: everything, in order, once where nothing was wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.alerts.records import Alert, Delivery, Records, Rule, Step, Telling

# A group waits for company (10 s), for its own pace and for Slack's: what was shorter may go untold.
UNTOLD_S = 20.0
# How long after a fault of the notifier or the database a message may come twice because of it: the lease runs out
# (5 s), an attempt nobody heard of is made again (5 s), the database comes back.
AFTERMATH_S = 30.0
# What was told as firing so long after its end is about the past: the topic may lag by 15 s, and a try be repeated.
PAST_S = 45.0


@dataclass(frozen=True)
class Repeated:
    """A thing that a channel was told again; `excused`: a fault was near."""

    telling: Telling
    excused: bool


def judge_told(records: Records) -> Iterator[str]:
    """What is wrong with what was told, a sentence each."""
    yield from records.unreadable
    alerts = {alert.alert_id: alert for alert in records.alerts}
    rules = {rule.name: rule for rule in records.rules}
    by_place: dict[tuple[int, str], list[Telling]] = {}
    for telling in sorted(records.tellings, key=lambda each: each.at_s):
        if telling.alert_id not in alerts:
            yield f"{telling.channel} was told of alert {telling.alert_id}, which there is not"
        by_place.setdefault((telling.alert_id, telling.channel), []).append(telling)
    for alert in records.alerts:
        for channel in rules[alert.rule].channels if alert.rule in rules else ():
            told = by_place.get((alert.alert_id, channel), [])
            yield from _one(alert, channel, told, rules[alert.rule], records)
    yield from _keys(records.tellings)
    for repeated in repeats(records):
        if not repeated.excused:
            yield f"told twice, and nothing was wrong: {repeated.telling}"


def repeats(records: Records) -> list[Repeated]:
    """Everything that was told to a channel for a second time."""
    before: set[tuple[str, int, str]] = set()
    found = []
    for telling in sorted(records.tellings, key=lambda each: each.at_s):
        what = (telling.channel, telling.alert_id, telling.kind)
        if what in before:
            excused = any(
                spell.from_s <= telling.at_s <= spell.until_s + AFTERMATH_S
                for spell in records.spells
            )
            found.append(Repeated(telling, excused))
        before.add(what)
    return found


def _one(
    alert: Alert, channel: str, told: Sequence[Telling], rule: Rule, records: Records
) -> Iterator[str]:
    where = f"{channel}: alert {alert.alert_id} ({alert.rule} of {alert.service})"
    kinds = [telling.kind for telling in told]
    rows = [
        row
        for row in records.deliveries
        if row.episode_id == alert.episode_id and row.channel == channel
    ]
    if not kinds:
        steps = [step for step in records.history if step.episode_id == alert.episode_id]
        yield from (f"{where} {why}" for why in _untold(alert, rule, rows, steps, records))
        return
    if kinds[-1] != "over":
        yield f"{where}: its end was not the last that was told, but {kinds}"
    # A trigger that may have arrived is acknowledged and ended to be safe, also when it had not, and a silence keeps it
    # back now.
    tried = any((row.kind, row.status) == ("firing", "replaced") for row in rows)
    if channel == "pagerduty" and kinds[0] != "firing" and not (tried and "firing" not in kinds):
        yield f"{where}: {kinds[0]} before the trigger"
    if any(before == "over" and after != "over" for before, after in pairwise(kinds)):
        yield f"{where}: told as {kinds} in this order"
    for telling in told:
        if alert.active_s is not None and telling.at_s < alert.active_s - 1.0:
            yield f"{where} was told before it fired"
        late = alert.resolved_s is not None and telling.at_s > alert.resolved_s + PAST_S
        if telling.kind == "firing" and late and not _is_trigger_of_the_past(telling, told):
            yield f"{where} was told as firing long after its end"


def _is_trigger_of_the_past(telling: Telling, told: Sequence[Telling]) -> bool:
    """PagerDuty's way to have on record what is over: a trigger with the end right behind it."""
    return telling.channel == "pagerduty" and telling is told[0]


def _untold(
    alert: Alert, rule: Rule, rows: Sequence[Delivery], steps: Sequence[Step], records: Records
) -> Iterator[str]:
    """Why nobody was told must be written down, and be true."""
    reasons = [row.reason for row in rows if row.status == "withheld"]
    if not reasons:
        yield f"was told to nobody, without a reason: {[(r.kind, r.status) for r in rows]}"
        return
    fired_s, over_s = alert.active_s or 0.0, alert.resolved_s or float("inf")
    taken_on = any(step.to_status == "acknowledged" for step in steps)
    truths = {
        "silenced": any(
            hush.service == alert.service
            and hush.from_s <= over_s + PAST_S
            and hush.until_s >= fired_s
            for hush in records.silences
        ),
        "muted": rule.severity == "warning",
        "acknowledged": taken_on,
        "over before it was told": over_s - fired_s <= UNTOLD_S or taken_on,
    }
    if not any(truths.get(reason or "", False) for reason in reasons):
        yield f"was told to nobody because of {reasons} after {over_s - fired_s:.1f} s, which is not so"


def _keys(tellings: Sequence[Telling]) -> Iterator[str]:
    keys: dict[int, set[str]] = {}
    for telling in tellings:
        if telling.key is not None:
            keys.setdefault(telling.alert_id, set()).add(telling.key)
    owners: dict[str, int] = {}
    for alert_id, found in keys.items():
        if len(found) > 1:
            yield f"pagerduty: alert {alert_id} has {len(found)} keys"
        for key in found:
            if owners.setdefault(key, alert_id) != alert_id:
                yield f"pagerduty: alerts {owners[key]} and {alert_id} share a key"
