"""Running a Faust app as the foreground process: signals, and an end that is bounded in time."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

# An orderly end takes a few seconds; past this the process ends all the same, which loses nothing.
HARD_EXIT_S = 18.0


def end_at_once(*_: object) -> None:
    """Handler of SIGTERM until Faust has its own: there is nothing in flight to finish."""
    raise SystemExit(0)


def execute(app: Any) -> None:
    """Run the app until a signal; raises SystemExit with the status of an end that was not asked for."""
    import faust  # pylint: disable=import-outside-toplevel

    class Worker(faust.Worker):
        """Faust's worker without its banner, with a limit to how long stopping may take."""

        def _schedule_shutdown(self, signal: Any) -> None:
            timer = threading.Timer(HARD_EXIT_S, os._exit, args=(0,))
            timer.daemon = True
            timer.start()
            super()._schedule_shutdown(signal)

    worker = Worker(
        app,
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
        loop=asyncio.get_event_loop(),
    )
    worker.spinner = None  # it writes terminal codes into logs
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        if end.code not in (0, None):
            raise
