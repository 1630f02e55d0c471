"""What was fetched but not yet handed to a flush, bounded in messages and in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analytics_service.ingest.session import PartitionBatch, Session


@dataclass(frozen=True, slots=True)
class Limits:
    """A flush begins at `flush_events` or `flush_bytes`; reading stops there while another one is in flight.

    `linger_s`: how long the first message of a flush waits for company, in seconds; `patience_s`: the same while
    another flush is under way and there is more than a flush of messages to catch up with, for what a flush costs
    besides its events is then better paid once.
    """

    flush_events: int = 40_000
    flush_bytes: int = 16 * 1024 * 1024
    linger_s: float = 0.2
    patience_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Gathered:
    """Batches of one session for one flush, in the order they were read."""

    session: Session
    batches: Sequence[PartitionBatch]


@dataclass(slots=True)
class Buffer:
    """Batches of the current session in the order they were read."""

    limits: Limits
    session: Session | None = None
    since: float | None = None
    _batches: list[PartitionBatch] = field(default_factory=list)
    _messages: int = 0
    _bytes: int = 0
    _behind: dict[int, int] = field(default_factory=dict)

    def open(self, session: Session | None) -> None:
        """Forget everything; from now on only batches of `session` are taken."""
        self.session = session
        self._behind = {}
        self._clear()

    def accepts(self, batch: PartitionBatch) -> bool:
        """Whether the batch belongs to the current session."""
        return self.session is not None and batch.session is self.session

    def add(self, batch: PartitionBatch, now_s: float) -> None:
        """Append a batch; `now_s` is a monotonic time."""
        self._batches.append(batch)
        self._messages += len(batch.records)
        self._bytes += batch.size_bytes
        self._behind[batch.partition] = batch.lag
        if self.since is None:
            self.since = now_s

    @property
    def has_room(self) -> bool:
        """Whether reading may go on."""
        return not self.is_full

    @property
    def is_full(self) -> bool:
        """Whether a flush should begin without waiting any longer."""
        return self._messages >= self.limits.flush_events or self._bytes >= self.limits.flush_bytes

    def wait_left(
        self, now_s: float, *, busy: bool = False, not_before_s: float | None = None
    ) -> float | None:
        """Seconds until the flush is due: 0 now, None while there is nothing to flush.

        `busy`: another is under way; `not_before_s`: sooner than that it would only wait for it.
        """
        if self.since is None:
            return None
        if self.is_full:
            return 0.0
        catching_up = busy and sum(self._behind.values()) > self.limits.flush_events
        due_s = self.since + max(self.limits.linger_s, self.limits.patience_s * catching_up)
        if not_before_s is not None:
            due_s = max(due_s, not_before_s)
        return max(0.0, due_s - now_s)

    def take(self) -> Gathered | None:
        """Everything for one flush, at most about `flush_events`; the rest stays."""
        if self.session is None or not self._batches:
            return None
        taken: list[PartitionBatch] = []
        count = size = 0
        for batch in self._batches:
            if taken and (count >= self.limits.flush_events or size >= self.limits.flush_bytes):
                break
            taken.append(batch)
            count += len(batch.records)
            size += batch.size_bytes
        rest = self._batches[len(taken) :]
        since = self.since
        self._clear()
        for batch in rest:
            self._messages += len(batch.records)
            self._bytes += batch.size_bytes
        self._batches = rest
        self.since = since if rest else None
        return Gathered(self.session, taken)

    def _clear(self) -> None:
        self._batches, self._messages, self._bytes, self.since = [], 0, 0, None
