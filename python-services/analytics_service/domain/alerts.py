"""The life of an alert: a pure function of rule, state, what is seen, and the time.

inactive -> pending -> active -> resolved, with acknowledged in between when a person takes it on. All times are epoch
seconds of one clock, the database's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from analytics_service.domain.rules import Rule

Status = Literal["inactive", "pending", "active", "acknowledged"]
Reached = Literal["pending", "active", "acknowledged", "resolved"]

OPEN: Final = frozenset({"active", "acknowledged"})
NO_DATA_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The rule's metric in one window; `value` None when no event of the window carries it."""

    value: float | None
    requests: int
    window_start_s: int


@dataclass(frozen=True, slots=True)
class Observation:
    """What can be seen of a service: its windows that are not complete yet, newest first, and its last complete one.

    Windows without a row are left out; `complete` None: it has none.
    """

    running: tuple[Reading, ...]
    complete: Reading | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an observation means for a rule; `reading` is the one that decided, None without data."""

    verdict: Literal["violated", "clear", "no_data"]
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class AlertState:
    """Where the alert of one rule and service stands. `*_since_s`: None while that is not so."""

    status: Status = "inactive"
    pending_since_s: float | None = None
    active_since_s: float | None = None
    clear_since_s: float | None = None
    no_data_since_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has fired and is not resolved."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of an episode, for history and messages."""

    from_status: Status
    to_status: Reached
    at_s: float
    reading: Reading | None
    comment: str | None = None


INACTIVE: Final = AlertState()


def judge(rule: Rule, seen: Observation, *, is_open: bool) -> Judgement:
    """Whether what is seen violates the rule: one of the windows is enough; it is clear only when none does.

    A window with fewer than the rule's `min_requests` violates nothing.
    """
    looked_at = (*(() if rule.only_complete else seen.running), seen.complete)
    readings = [
        reading for reading in looked_at if reading is not None and reading.value is not None
    ]
    for reading in readings:
        assert reading.value is not None
        if reading.requests >= rule.min_requests and rule.is_violated_by(
            reading.value, is_open=is_open
        ):
            return Judgement("violated", reading)
    return Judgement("clear", readings[0]) if readings else Judgement("no_data")


def step(
    rule: Rule, state: AlertState, seen: Observation, now_s: float
) -> tuple[AlertState, tuple[Transition, ...]]:
    """The state after this observation, and what has happened.

    A pending alert that never fires leaves no trace: its first transition is told when it fires, with the time at
    which it began.
    """
    judgement = judge(rule, seen, is_open=state.is_open)
    if judgement.verdict != "no_data":
        if (
            state.no_data_since_s is not None
        ):  # most looks find nothing to change, and copies take time
            state = replace(state, no_data_since_s=None)
        if judgement.verdict == "violated":
            return _violated(rule, state, judgement.reading, now_s, None)
        return _clear(rule, state, judgement.reading, now_s)
    if state.status == "inactive" and rule.no_data_policy != "alert":
        return INACTIVE, ()  # nothing would come of it: no clock is kept for a service that is gone
    since = now_s if state.no_data_since_s is None else state.no_data_since_s
    state = replace(state, no_data_since_s=since)
    # Kept is what is open: what is only pending has not held if nothing was seen of it for so long.
    is_kept = rule.no_data_policy == "keep" and state.is_open
    if is_kept or now_s - since < NO_DATA_S:
        return state, ()
    comment = f"no data for {NO_DATA_S:.0f} s"
    if rule.no_data_policy == "alert":
        return _violated(rule, state, None, now_s, comment)
    return INACTIVE, close(state, now_s, comment)[1]


def next_due_s(rule: Rule, state: AlertState, now_s: float) -> float | None:
    """When the first clock of this state runs out that has not yet; None: none runs.

    A `step` that changed nothing changes nothing until then either, unless it is shown something else.
    """
    clocks = (
        (state.pending_since_s if state.status == "pending" else None, rule.duration_seconds),
        (state.clear_since_s, rule.keep_firing_seconds),
        (state.no_data_since_s, NO_DATA_S),
    )
    ends = [since + length for since, length in clocks if since is not None]
    return min((end for end in ends if end > now_s), default=None)


def acknowledge(
    state: AlertState, now_s: float, comment: str | None
) -> tuple[AlertState, tuple[Transition, ...]]:
    """A person takes an active alert on; nothing happens in any other status."""
    if state.status != "active":
        return state, ()
    return replace(state, status="acknowledged"), (
        Transition("active", "acknowledged", now_s, None, comment),
    )


def close(
    state: AlertState, now_s: float, comment: str | None
) -> tuple[AlertState, tuple[Transition, ...]]:
    """End it whatever is seen: by a person, because its rule is gone, or for want of data."""
    closed = replace(INACTIVE, no_data_since_s=state.no_data_since_s)
    if not state.is_open:
        return closed, ()
    return closed, (Transition(state.status, "resolved", now_s, None, comment),)


def _violated(
    rule: Rule, state: AlertState, reading: Reading | None, now_s: float, comment: str | None
) -> tuple[AlertState, tuple[Transition, ...]]:
    if state.is_open:
        return state if state.clear_since_s is None else replace(state, clear_since_s=None), ()
    since = now_s if state.pending_since_s is None else state.pending_since_s
    if now_s - since < rule.duration_seconds:
        return replace(state, status="pending", pending_since_s=since), ()
    active = replace(state, status="active", pending_since_s=since, active_since_s=now_s)
    if state.status == "inactive":
        return active, (Transition("inactive", "active", now_s, reading, comment),)
    return active, (
        Transition("inactive", "pending", since, reading, comment),
        Transition("pending", "active", now_s, reading, comment),
    )


def _clear(
    rule: Rule, state: AlertState, reading: Reading | None, now_s: float
) -> tuple[AlertState, tuple[Transition, ...]]:
    if not state.is_open:
        return INACTIVE, ()
    since = now_s if state.clear_since_s is None else state.clear_since_s
    if now_s - since < rule.keep_firing_seconds:
        return replace(state, clear_since_s=since), ()
    return INACTIVE, (Transition(state.status, "resolved", now_s, reading),)
