"""gunicorn's messages through the process's own logging."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger


class ServerLogger(Logger):  # type: ignore[misc]  # the library is not typed
    """Sends gunicorn's messages to the root logger; requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        """Leave handlers and levels to `configure_logging`."""
        self.cfg = cfg
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True

    def access(self, *_arguments: Any) -> None:
        """Nothing: the application writes one line a request."""

    def reopen_files(self) -> None:
        """Nothing: there are no files."""
