"""Episodes of alerts as a channel sees them, and what it was told of each. Pure; times are epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analytics_service.domain.silences import Subject

EpisodeStatus = Literal["pending", "active", "acknowledged", "resolved"]
Kind = Literal["firing", "repeat", "acknowledged", "resolved", "passed"]
Result = Literal["sent", "failed", "trying"]


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert as it is now, and since when it is so; `value` in the metric's unit.

    `active_s` is when it fired, `heard_s` when the notifier heard of that; None: not known. `was_kept_back`:
    somebody took it on, or it was silenced or muted, so that not telling was meant, also when it is over by now.
    """

    episode_id: str
    subject: Subject
    status: EpisodeStatus
    since_s: float
    sequence: int
    value: float | None = None
    active_s: float | None = None
    heard_s: float | None = None
    was_kept_back: bool = False

    @property
    def fired_s(self) -> float:
        """When it fired, as well as that is known."""
        return self.since_s if self.active_s is None else self.active_s


@dataclass(frozen=True, slots=True)
class Pending:
    """An alert that has not fired yet, and when it will unless its rule is clear before (epoch seconds)."""

    subject: Subject
    fires_s: float


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel was told of an episode last, when, and how that went.

    `trying`: it is still to be sent, not before `next_try_s` (None: at once). `repetition`: which repeat it was.
    """

    kind: Kind
    at_s: float
    result: Result = "sent"
    next_try_s: float | None = None
    repetition: int = 0

    @property
    def has_fired_there(self) -> bool:
        """Whether the channel knows the episode as firing: then it has to hear of its end."""
        if self.kind == "firing":
            return self.result == "sent"
        return self.kind in ("repeat", "acknowledged")

    @property
    def may_have_fired_there(self) -> bool:
        """Whether an attempt to tell it was made whose end nobody knows, or that is still to be repeated."""
        return self.kind == "firing" and self.result == "trying"

    @property
    def is_the_end(self) -> bool:
        """Whether it is the last that is ever told."""
        return self.kind in ("resolved", "passed")
