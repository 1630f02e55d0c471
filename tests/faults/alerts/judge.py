"""The whole verdict, and figures for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.faults.alerts.judge_history import judge_history
from tests.faults.alerts.judge_timeline import judge_timeline
from tests.faults.alerts.judge_told import judge_told, repeats
from tests.faults.alerts.judge_topic import copies, judge_topic
from tests.faults.alerts.records import Records


def judge(records: Records) -> Iterator[str]:
    """Everything that is not as it should be."""
    yield from judge_history(records)
    yield from judge_topic(records)
    yield from judge_told(records)
    yield from judge_timeline(records)


def figures(records: Records) -> dict[str, int]:
    """What there was."""
    told = Counter(telling.channel for telling in records.tellings)
    again = Counter(repeated.telling.channel for repeated in repeats(records))
    withheld = Counter(row.reason for row in records.deliveries if row.status == "withheld")
    return {
        "outbreaks": len(records.outbreaks),
        "outbreaks that had to be noticed": sum(each.must_fire for each in records.outbreaks),
        "episodes": len(records.alerts),
        "transitions": len(records.history),
        "published twice": copies(records),
        **{f"told by {channel}": told[channel] for channel in sorted(told)},
        **{f"told twice by {channel}": again[channel] for channel in sorted(told)},
        **{f"withheld, {reason}": count for reason, count in sorted(withheld.items(), key=str)},
    }
