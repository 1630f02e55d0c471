"""Everything of a notifier that is not Faust's: the lease, one thread a channel, and what makes up for the topic."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Sequence

import psycopg2
from psycopg2.extensions import connection

from analytics_service import metrics
from analytics_service.adapters.timescale.channel_state import switch
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.deliveries import give_up, waiting
from analytics_service.adapters.timescale.episodes import (
    add_channels,
    missed,
    settle_done,
    take_in,
)
from analytics_service.adapters.timescale.held_lease import HeldLease
from analytics_service.adapters.timescale.lasting import LastingConnection
from analytics_service.adapters.timescale.leases import Lease, fence, release, take
from analytics_service.config import Settings
from analytics_service.domain.alert_messages import BadAlertMessage, read_alert_message
from analytics_service.domain.rules import CHANNELS
from analytics_service.health import Health
from analytics_service.notifying.dispatcher import Dispatcher, Sender
from analytics_service.notifying.manners import manner_of

logger = logging.getLogger(__name__)

LEASE = "alert-notifier"
LEASE_S = 5.0
TICK_S = 1.0
CHORES_S = 5.0
STOP_S = 5.0
# How far back what was published is compared with what was taken in: at first, and then every few seconds.
FIRST_LOOK_BACK_S = 7 * 86_400.0
LOOK_BACK_S = 300.0


class NotifyingService:
    """One a notifier; any number of notifiers, of which one sends at a time."""

    def __init__(self, settings: Settings, senders: Sequence[Sender], health: Health) -> None:
        database = parameters(settings, application_name="stacklens-notifier")
        self._health = health
        self._database = LastingConnection(database)
        self._held = HeldLease(LEASE_S)
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._lease: Lease | None = None
        self._since_s = 0.0
        self._chores_at = float("-inf")
        self._channels = [sender.name for sender in senders]
        self._dispatchers = [
            Dispatcher(sender, manner_of(sender.name, settings), database, self._held)
            for sender in senders
        ]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        for channel in CHANNELS:
            metrics.CHANNEL_ON.labels(channel).set(1 if channel in self._channels else 0)

    def start(self) -> None:
        """Begin; returns at once."""
        logger.info(
            "channels: %s",
            ", ".join(f"{name} {'on' if name in self._channels else 'off'}" for name in CHANNELS),
        )
        self._thread.start()
        for dispatcher in self._dispatchers:
            dispatcher.start()

    def caught_up(self) -> None:
        """Everything published before this notifier began has been taken in."""
        if not self._held.is_caught_up:
            logger.info("the alert topic has been read to its end")
            self._held.caught_up()
            self.wake()

    def wake(self) -> None:
        """Something was taken in: the channels look at once."""
        for dispatcher in self._dispatchers:
            dispatcher.wake()

    def stop(self) -> None:
        """End after the attempts under way, and let another notifier have the lease at once."""
        for dispatcher in self._dispatchers:
            dispatcher.end()
        for dispatcher in self._dispatchers:
            dispatcher.join()
        self._ended.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + TICK_S
            self._tick()
        self._end()

    def _tick(self) -> None:
        try:
            self._hold(self._database.get())
            self._health.report("database", True)
        except psycopg2.Error as error:
            logger.warning("database trouble: %s", self._database.why(error))
            self._health.report("database", False, type(error).__name__)
            self._database.discard()
        except Exception:  # pylint: disable=broad-exception-caught  # the next second may go better; this one is told
            logger.exception("keeping the lease failed")
            self._database.discard()
        metrics.NOTIFIER_LEADER.set(0 if self._held.current() is None else 1)

    def _hold(self, conn: connection) -> None:
        asked_at = time.monotonic()
        lease = take(conn, LEASE, self._holder, LEASE_S)
        if lease is None:
            self._lease = None
            self._held.lost()
            _show_waiting({})
            return
        is_new = self._lease is None or self._lease.epoch != lease.epoch
        if is_new:
            self._begin(conn, lease)
            self._lease = lease
        self._held.renewed(lease, asked_at, self._since_s)
        if is_new:
            self.wake()
        if time.monotonic() >= self._chores_at:
            self._chores_at = time.monotonic() + CHORES_S
            self._chores(conn, lease)

    def _begin(self, conn: connection, lease: Lease) -> None:
        """All that was published while no notifier ran is known before anything is decided: no storm, no gap."""
        with conn, conn.cursor() as cur:
            fence(cur, lease)
            cur.execute("SELECT extract(epoch FROM clock_timestamp())::double precision")
            ((self._since_s,),) = cur.fetchall()
            switch(cur, self._channels)
            found = _make_up(cur, FIRST_LOOK_BACK_S, late_s=0.0)
        logger.info(
            "this notifier sends (epoch %d); %d transitions happened meanwhile", lease.epoch, found
        )

    def _chores(self, conn: connection, lease: Lease) -> None:
        with conn, conn.cursor() as cur:
            fence(cur, lease)
            found = _make_up(cur, LOOK_BACK_S)
            added = add_channels(cur)
            settle_done(cur, self._channels)
            given_up = give_up(cur)
            _show_waiting(waiting(cur))
        if given_up:
            logger.warning("%d deliveries are given up: their alerts were over long ago", given_up)
        if found:
            logger.warning("%d transitions came by way of the outbox, not of the topic", found)
        if added:
            logger.info("%d open alerts have got another channel by their rule", added)
        if found or added:
            self.wake()

    def _end(self) -> None:
        try:
            if self._lease is not None:
                release(self._database.get(), self._lease)
        except psycopg2.Error as error:
            logger.info("the lease runs out by itself: %s", self._database.why(error))
        self._database.discard()


def _make_up(cur: psycopg2.extensions.cursor, since_s: float, **late: float) -> int:
    """Take in from the outbox what the topic did not bring; returns how many transitions."""
    taken = 0
    for value in missed(cur, since_s, **late):
        try:
            taken += take_in(cur, read_alert_message(value))
        except BadAlertMessage as error:
            logger.error("a message of the outbox cannot be read: %s", error)
    if taken:
        metrics.ALERT_MESSAGES.labels("made_up_for").inc(taken)
    return taken


def _show_waiting(found: dict[str, tuple[int, float]]) -> None:
    for channel in CHANNELS:
        count, oldest_s = found.get(channel, (0, 0.0))
        metrics.DELIVERY_BACKLOG.labels(channel).set(count)
        metrics.DELIVERY_OLDEST.labels(channel).set(oldest_s)
