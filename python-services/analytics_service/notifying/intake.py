"""Takes the messages of the alert topic into the database, whatever state that is in."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import psycopg2

from analytics_service import metrics
from analytics_service.adapters.timescale.connecting import ConnectionParameters
from analytics_service.adapters.timescale.episodes import take_in
from analytics_service.adapters.timescale.errors import is_poison
from analytics_service.adapters.timescale.lasting import LastingConnection
from analytics_service.domain.alert_messages import BadAlertMessage, read_alert_message

logger = logging.getLogger(__name__)

TROUBLE_S = 1.0


class Intake:
    """Used by one thread; `heard` is called when something new was taken in."""

    def __init__(self, database: ConnectionParameters, heard: Callable[[], None]) -> None:
        self._database = LastingConnection(database)
        self._heard = heard
        self._ended = threading.Event()

    def take_in(self, value: bytes | None, where: str) -> bool:
        """Remember what a message tells; waits for the database as long as that takes.

        `where` it stood, for the log. False when the process ends before the message was remembered: it must not be
        acknowledged then.
        """
        while not self._ended.is_set():
            try:
                self._take_in(value, where)
                return True
            except psycopg2.Error as error:
                logger.warning(
                    "alert messages wait for the database: %s", self._database.why(error)
                )
                self._database.discard()
                self._ended.wait(TROUBLE_S)
        return False

    def end(self) -> None:
        """Do not wait for the database any more."""
        self._ended.set()

    def close(self) -> None:
        """Close the connection; from the thread that takes in, or after it has ended."""
        self._database.discard()

    def _take_in(self, value: bytes | None, where: str) -> None:
        try:
            message = read_alert_message(value)
            conn = self._database.get()
            with conn, conn.cursor() as cur:
                is_new = take_in(cur, message)
        except BadAlertMessage as error:
            metrics.ALERT_MESSAGES.labels("rejected").inc()
            logger.error("an alert message cannot be read (%s): %s", where, error)
            return
        except psycopg2.Error as error:
            if not is_poison(error):
                raise
            metrics.ALERT_MESSAGES.labels("rejected").inc()
            logger.error(
                "an alert message cannot be stored (%s): %s", where, self._database.why(error)
            )
            return
        metrics.ALERT_MESSAGES.labels("taken_in" if is_new else "known").inc()
        if is_new:
            self._heard()
