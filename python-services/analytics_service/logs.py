"""Logging: one line of text or one JSON object an entry, to standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from analytics_service.config import Settings


class JsonFormatter(logging.Formatter):
    """One JSON object a line; control characters in messages cannot break the line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, str] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        # Not msgspec: a message may hold a lone surrogate, from an undecodable file name for example.
        return json.dumps(entry)


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z level logger message`, line breaks escaped."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = (
            f"{at}.{int(record.msecs):03d}Z {record.levelname.lower():8s} {record.name} {message}"
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure_logging(settings: Settings) -> None:
    """Send every logger of this process to standard error in the form the settings ask for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for chatty in ("aiokafka", "kafka", "faust", "mode", "werkzeug"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # Each of these repeats a rebalance's every step; what matters of it is logged by our own transport.
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.ERROR)


def log_settings(logger: logging.Logger, settings: Settings) -> None:
    """Write the effective settings, secrets masked."""
    shown = " ".join(f"{name}={value}" for name, value in settings.masked().items() if value)
    logger.info("effective settings: %s", shown)
