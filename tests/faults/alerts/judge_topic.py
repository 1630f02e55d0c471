"""The alert topic beside the history: every step at least once, the first copies in order. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.alerts.judge_history import episodes
from tests.faults.alerts.records import Records, Step


def judge_topic(records: Records) -> Iterator[str]:
    """What is wrong with the messages, a sentence each."""
    held = {step.transition_id: step for step in records.history}
    told: dict[str, Step] = {}
    for step in records.topic:
        told.setdefault(step.transition_id, step)
        if step.transition_id not in held:
            yield f"the topic tells of {step}, which the history does not have"
        elif _told_otherwise(step, held[step.transition_id]):
            yield f"the topic tells {step}, the history {held[step.transition_id]}"
    for transition_id, step in held.items():
        if transition_id not in told:
            yield f"the topic never told {step}"
    for name, steps in episodes(told.values()).items():
        numbers = [step.sequence for step in steps]
        if numbers != sorted(numbers):
            yield f"episode {name}: the topic told {numbers} in this order"


def copies(records: Records) -> int:
    """How many messages were published more than once."""
    return len(records.topic) - len({step.transition_id for step in records.topic})


def _told_otherwise(told: Step, held: Step) -> bool:
    same = abs(told.at_s - held.at_s) < 0.001
    return not same or (told.episode_id, told.alert_id, told.sequence, told.to_status) != (
        held.episode_id,
        held.alert_id,
        held.sequence,
        held.to_status,
    )
