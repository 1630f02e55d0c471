"""One channel's thread: decides what is due there, sends it, and remembers how that went."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg2
from psycopg2.extensions import QueryCanceledError, connection

from analytics_service import metrics
from analytics_service.adapters.timescale import channel_state, deliveries
from analytics_service.adapters.timescale.connecting import ConnectionParameters
from analytics_service.adapters.timescale.deliveries import ChannelView
from analytics_service.adapters.timescale.episodes import ON_THEIR_WAY_S, on_their_way
from analytics_service.adapters.timescale.held_lease import HeldLease
from analytics_service.adapters.timescale.lasting import LastingConnection
from analytics_service.adapters.timescale.leases import Lease, LeaseLost, fence
from analytics_service.adapters.timescale.silences import silences_for
from analytics_service.adapters.timescale.trends import read_trends
from analytics_service.domain.breaker import Breaker, BreakerState
from analytics_service.domain.notices import Outcome, Trend
from analytics_service.domain.retrying import retry_delay_s
from analytics_service.domain.telling import Pace
from analytics_service.notifying.patience import Patience
from analytics_service.notifying.plans import Message, Plan

logger = logging.getLogger(__name__)

IDLE_S = 1.0
ON_THEIR_WAY_CHECK_S = 0.1
TROUBLE_S = 1.0
# After an attempt in which the process died the next one is made this much later: longer than an attempt may take.
UNHEARD_OF_S = 12.0
# A topic that cannot be read to its end does not hold back for longer what the database knows.
CATCHING_UP_S = 20.0
TRENDS_MS = 2_000
STOP_S = 12.0
# Reasons that people may wonder about; the others show by themselves.
TELLING_REASONS = frozenset({"silenced", "muted", "acknowledged", "over before it was told"})

Planner = Callable[..., Plan]


class Sender(Protocol):
    """A way to the other side of a channel; never raises for what happens there."""

    @property
    def name(self) -> str:
        """slack, email or pagerduty."""

    def send(self, content: Any) -> Outcome:
        """One attempt, bounded in time."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a channel is spoken to: what plans its messages, its pace, and the least seconds between two messages."""

    plan: Planner
    pace: Pace
    spacing_s: float
    dashboard_url: str
    breaker_reset_s: float


class Dispatcher:
    """Runs in a thread of its own, so that no channel waits for another."""

    def __init__(
        self,
        sender: Sender,
        manner: Manner,
        database: ConnectionParameters,
        held: HeldLease,
    ) -> None:
        self.channel = sender.name
        self._sender = sender
        self._manner = manner
        self._database = LastingConnection(database)
        self._held = held
        self._breaker = Breaker(manner.breaker_reset_s)
        self._noted: dict[str, str] = {}
        self._sent_at = float("-inf")
        # What belongs together is told together: but what does not arrive is not waited for.
        self._catching_up = Patience(CATCHING_UP_S)
        self._in_flight = Patience(ON_THEIR_WAY_S)
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{self.channel}", daemon=True)
        self._show_breaker()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """Something happened: look at once."""
        self._wake.set()

    def end(self) -> None:
        """End after the attempt under way; returns at once."""
        self._ended.set()
        self._wake.set()

    def join(self) -> None:
        """Wait for the end, for as long as an attempt may take."""
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._ended.is_set():
            wait_s = self._round_or_trouble()
            if wait_s > 0:
                self._wake.wait(wait_s)
            self._wake.clear()
        self._database.discard()

    def _round_or_trouble(self) -> float:
        try:
            return self._round()
        except LeaseLost as error:
            logger.warning("%s: %s", self.channel, error)
        except psycopg2.Error as error:
            logger.warning("%s: database trouble: %s", self.channel, self._database.why(error))
            self._database.discard()
        except Exception:  # pylint: disable=broad-exception-caught  # the next round may succeed; this one is told
            logger.exception("%s: deciding or sending failed", self.channel)
            self._database.discard()
        return TROUBLE_S

    def _round(self) -> float:
        """Decide, and send one message if one is due; returns for how many seconds there is nothing to do."""
        held = self._held.current()
        if held is None:
            return IDLE_S
        lease, since_s = held
        conn = self._database.get()
        with conn, conn.cursor() as cur:
            if self._catching_up.is_worth_it(not self._held.is_caught_up):
                return ON_THEIR_WAY_CHECK_S
            if self._in_flight.is_worth_it(on_their_way(cur)):
                return ON_THEIR_WAY_CHECK_S
            state = channel_state.read_channel(cur, self.channel)
            view = deliveries.read_view(cur, self.channel, self._manner.pace.group_interval_s)
            plan = self._manner.plan(view, silences_for(cur), state, self._manner.pace, since_s)
            self._note(conn, view, plan)
        if not plan.messages:
            return IDLE_S if plan.next_s is None else min(IDLE_S, plan.next_s - view.now_s)
        wait_s = self._held_up_s(view.now_s, state.paused_until_s)
        if wait_s > 0:
            return min(IDLE_S, wait_s)
        self._send(conn, lease, plan.messages[0], view.now_s)
        return 0.0

    def _note(self, conn: connection, view: ChannelView, plan: Plan) -> None:
        """Write down why episodes are not told of, once for each reason, and which are done with."""
        reasons: dict[str, str] = {
            episode_id: reason
            for episode_id, reason in plan.withheld.items()
            if reason in TELLING_REASONS and episode_id not in view.told
        }
        new = {
            episode_id: reason
            for episode_id, reason in reasons.items()
            if self._noted.get(episode_id) != reason
        }
        with conn.cursor() as cur:
            if new:
                found = [(view.known[episode_id], reason) for episode_id, reason in new.items()]
                deliveries.note_withheld(cur, self.channel, found)
                metrics.DELIVERIES.labels(self.channel, "withheld").inc(len(new))
            if plan.settled:
                deliveries.settle(cur, self.channel, plan.settled)
        self._noted = reasons

    def _held_up_s(self, now_s: float, paused_until_s: float | None) -> float:
        paused_s = 0.0 if paused_until_s is None else paused_until_s - now_s
        spacing_s = self._sent_at + self._manner.spacing_s - time.monotonic()
        if max(paused_s, spacing_s) > 0:
            return max(paused_s, spacing_s)
        allowed = self._breaker.allows(time.monotonic())
        self._show_breaker()
        return 0.0 if allowed else self._breaker.wait_s(time.monotonic())

    def _send(self, conn: connection, lease: Lease, message: Message, now_s: float) -> None:
        message_id = message.id_on(self.channel)
        trends = self._trends(conn, message, now_s)
        with conn, conn.cursor() as cur:
            fence(cur, lease)
            attempt = deliveries.begin_attempt(
                cur, self.channel, message_id, message.tellings, UNHEARD_OF_S
            )
        content = message.content(self.channel, trends, now_s, self._manner.dashboard_url)
        if not self._is_ours(lease):
            raise LeaseLost(f"{lease.name}: woke up too late to send (epoch {lease.epoch})")
        started = time.perf_counter()
        outcome = self._sender.send(content)
        self._sent_at = time.monotonic()
        metrics.DELIVERY_SECONDS.labels(self.channel).observe(time.perf_counter() - started)
        self._heard(lease, message, message_id, attempt, outcome)

    def _is_ours(self, lease: Lease) -> bool:
        """Whether the lease is still held as it was given."""
        held = self._held.current()
        return held is not None and held[0].epoch == lease.epoch

    def _trends(self, conn: connection, message: Message, now_s: float) -> dict[str, Trend]:
        """What changed at the services it shows; an alert does not wait for that if it takes long."""
        about = {telling.known.episode.subject.service for telling in message.shown}
        try:
            with conn, conn.cursor() as cur:
                cur.execute("SET LOCAL statement_timeout = %s", (TRENDS_MS,))
                return read_trends(cur, about, now_s)
        except QueryCanceledError:
            logger.warning("%s: the message goes without figures of the last minutes", self.channel)
            return {}

    def _heard(
        self, lease: Lease, message: Message, message_id: str, attempt: int, outcome: Outcome
    ) -> None:
        """Remember the outcome, however long the database takes: what is forgotten is sent twice."""
        delay_s = retry_delay_s(self.channel, attempt, outcome, random.random())  # no secret
        metrics.DELIVERIES.labels(self.channel, outcome.result).inc(len(message.tellings))
        self._tell_breaker(outcome)
        _log(self.channel, message, outcome, delay_s)
        # It may have arrived, and another notifier may have told the end before.
        is_late = outcome.result != "refused" and not self._is_ours(lease)
        while True:
            try:
                conn = self._database.get()
                with conn, conn.cursor() as cur:
                    if outcome.result == "sent":
                        deliveries.note_sent(cur, self.channel, message_id, outcome.trouble)
                        if message.is_digest:
                            channel_state.note_digest(cur, self.channel)
                    elif outcome.result == "refused":
                        deliveries.note_refused(cur, self.channel, message_id, outcome.detail)
                    else:
                        deliveries.note_failed(
                            cur, self.channel, message_id, outcome.detail, delay_s
                        )
                        if outcome.is_limited:
                            channel_state.pause(cur, self.channel, delay_s)
                    is_open = self._breaker.state is not BreakerState.CLOSED
                    channel_state.note_breaker(cur, self.channel, is_open, outcome.trouble)
                    if is_late and deliveries.tell_end_again(cur, self.channel, message_id):
                        logger.warning(
                            "%s: a message went out late; its end is told again", self.channel
                        )
                return
            except psycopg2.Error as error:
                logger.warning(
                    "%s: how the last message went waits for the database: %s",
                    self.channel,
                    self._database.why(error),
                )
                self._database.discard()
                if self._ended.wait(TROUBLE_S):
                    return

    def _tell_breaker(self, outcome: Outcome) -> None:
        """An answer, even a refusal, shows that the other side is there; that we are too fast is no failure."""
        if outcome.result != "retry" or outcome.is_limited:
            if self._breaker.succeeded():
                logger.info("%s: answers again, circuit breaker closed", self.channel)
        elif self._breaker.failed(time.monotonic()):
            logger.error("%s: circuit breaker open: %s", self.channel, outcome.detail)
        self._show_breaker()

    def _show_breaker(self) -> None:
        metrics.BREAKER_STATE.labels(self.channel).set(self._breaker.state)


def _log(channel: str, message: Message, outcome: Outcome, delay_s: float) -> None:
    what = ", ".join(
        f"{telling.kind} {telling.known.episode.subject.rule_name!r} of {telling.known.episode.subject.service!r}"
        for telling in message.shown
    )
    if len(message.shown) < len(message.tellings):
        what += f" and {len(message.tellings) - len(message.shown)} more"
    if outcome.is_partial:
        logger.warning("%s: sent, but not to everybody: %s (%s)", channel, outcome.detail, what)
    elif outcome.result == "sent":
        logger.info("%s: sent: %s", channel, what)
    elif outcome.result == "refused":
        logger.error("%s: refused for good: %s (%s)", channel, outcome.detail, what)
    else:
        logger.warning(
            "%s: not sent, again in %.0f s: %s (%s)", channel, delay_s, outcome.detail, what
        )
