"""Ends a process that stands still, so that its supervisor starts it anew."""

from __future__ import annotations

import logging
import os
import threading

from analytics_service.health import Health

logger = logging.getLogger(__name__)

CHECK_S = 2.0
# A process that was frozen and wakes up looks dead for a moment; only a reason that lasts counts.
LASTING_CHECKS = 10
STALLED_EXIT_CODE = 70


def start_watchdog(health: Health) -> threading.Event:
    """Watch `health` in a thread of its own; setting the returned event ends the watch."""
    ended = threading.Event()
    threading.Thread(target=_watch, args=(health, ended), name="watchdog", daemon=True).start()
    return ended


def _watch(health: Health, ended: threading.Event) -> None:
    seen = 0
    while not ended.wait(CHECK_S):
        reason = health.dead_reason()
        seen = seen + 1 if reason else 0
        if seen >= LASTING_CHECKS:
            logger.critical("ending the process: %s", reason)
            logging.shutdown()
            os._exit(STALLED_EXIT_CODE)
