"""The episodes beside the outbreaks: one for each that lasted, none without. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.faults.alerts.records import Alert, Records
from tests.faults.alerts.timeline import Outbreak

# While what was produced is not stored alerts stay as they are, and after 10 s of that nothing is judged: so long
# after its end an outbreak may still be seen, and no longer.
UNSEEN_S = 12.0


def judge_timeline(records: Records) -> Iterator[str]:
    """What is wrong with when alerts fired, a sentence each."""
    by_outbreak: dict[tuple[str, str, float], list[Alert]] = {}
    for alert in records.alerts:
        outbreak = _outbreak_of(alert, records.outbreaks)
        if outbreak is None:
            yield f"alert {alert.alert_id} ({alert.rule} of {alert.service}) began without an outbreak"
        else:
            by_outbreak.setdefault((alert.rule, alert.service, outbreak.began_s), []).append(alert)
    for outbreak in records.outbreaks:
        for rule in records.rules:
            mine = by_outbreak.get((rule.name, outbreak.service, outbreak.began_s), [])
            what = f"{rule.name} of {outbreak.service}, outbreak at {outbreak.began_s:.1f}"
            if outbreak.must_fire and not mine:
                lasted = (outbreak.ended_s or float("inf")) - outbreak.began_s
                yield f"{what} went unnoticed for {lasted:.0f} s"
            yield from _ends(what, mine, outbreak, rule.keep_s)
            yield from _one_for_each(what, records, outbreak, rule.name, mine)


def _outbreak_of(alert: Alert, outbreaks: Sequence[Outbreak]) -> Outbreak | None:
    """The last one that had begun when the alert was pending, unless that was over for too long."""
    began_s = alert.pending_s or 0.0
    before = [o for o in outbreaks if o.service == alert.service and o.began_s <= began_s]
    last = max(before, key=lambda outbreak: outbreak.began_s, default=None)
    if last is None or (last.well_s is not None and began_s > last.well_s + UNSEEN_S):
        return None
    return last


def _ends(what: str, mine: Sequence[Alert], outbreak: Outbreak, keep_s: float) -> Iterator[str]:
    """An alert is over only after it was clear for `keep_s`, which it was not before the outbreak ended."""
    for alert in mine:
        ended = outbreak.ended_s
        if alert.resolved_s is not None and (ended is None or alert.resolved_s < ended + keep_s):
            yield f"{what}: resolved at {alert.resolved_s:.1f}, while it went on (until {ended})"


def _one_for_each(
    what: str, records: Records, outbreak: Outbreak, rule: str, mine: Sequence[Alert]
) -> Iterator[str]:
    """No alert began anew while the outbreak went on: all looks in it found one and the same."""
    ended_s = float("inf") if outbreak.ended_s is None else outbreak.ended_s
    begun = {alert.alert_id: alert.pending_s for alert in mine} | {
        look.alert_id: look.pending_s
        for look in records.seen
        if (look.rule, look.service) == (rule, outbreak.service)
        and outbreak.began_s <= (look.pending_s or 0.0) <= ended_s
    }
    if len(begun) > 1:
        yield f"{what} to {ended_s:.1f}: alerts began in it one after the other, at {begun}"
