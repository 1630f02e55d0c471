"""What a log entry looks like, whatever is in it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from analytics_service.config import load_settings
from analytics_service.logs import JsonFormatter, TextFormatter, configure_logging, log_settings

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 7_000, tzinfo=UTC)


def record(
    message: str, *arguments: object, error: BaseException | None = None
) -> logging.LogRecord:
    """An entry at MOMENT."""
    info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("a.logger", logging.WARNING, "file.py", 1, message, arguments, info)
    made.created, made.msecs = MOMENT.timestamp(), 7.0
    return made


def raised(message: str) -> Exception:
    """An exception that was raised, with its traceback."""
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """The root logger's handlers and level as they were before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_text_entry() -> None:
    line = TextFormatter().format(record("%d of %s", 3, "four"))
    assert line == "2026-01-31T12:00:00.007Z warning  a.logger 3 of four"


def test_json_entry() -> None:
    entry = json.loads(JsonFormatter().format(record("%d of %s", 3, "four")))
    assert entry == {
        "at": "2026-01-31T12:00:00.007+00:00",
        "level": "warning",
        "logger": "a.logger",
        "message": "3 of four",
    }


@pytest.mark.parametrize(
    "text", ["two\nlines", "carriage\rreturn", "both\r\n", "forged\n2026-01-31"]
)
def test_a_message_cannot_break_its_line(text: str) -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record("%s", text))
        assert "\n" not in line
        assert "\r" not in line
    assert json.loads(JsonFormatter().format(record("%s", text)))["message"] == text


@pytest.mark.parametrize("text", ["lone \ud800 surrogate", "nul \0", "esc \x1b[31m", "🚀"])
def test_any_text_can_be_logged(text: str) -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        assert formatter.format(record("%s", text)).encode("utf-8", "backslashreplace")


def test_an_exception_comes_with_its_traceback() -> None:
    entry = record("it failed", error=raised("because"))
    text = TextFormatter().format(entry).splitlines()
    assert text[0].endswith(" it failed")
    assert text[1] == "Traceback (most recent call last):"
    assert text[-1] == "ValueError: because"
    shown = json.loads(JsonFormatter().format(entry))
    assert shown["message"] == "it failed"
    assert shown["exception"].splitlines()[-1] == "ValueError: because"


@pytest.mark.usefixtures("restored_logging")
def test_configured_by_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings({"LOG_LEVEL": "warning", "LOG_FORMAT": "json"}, env_file=None))
    configure_logging(load_settings({"LOG_LEVEL": "warning", "LOG_FORMAT": "json"}, env_file=None))
    logger = logging.getLogger("some.module")
    logger.info("not shown")
    logger.warning("shown")
    logging.getLogger("aiokafka.consumer").info("chatter")
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()  # once, though configured twice
    assert json.loads(line)["message"] == "shown"
    assert logging.getLogger().handlers[0].stream is sys.stderr  # type: ignore[attr-defined]


@pytest.mark.usefixtures("restored_logging")
def test_effective_settings_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings({"DB_PASSWORD": "very-secret", "DB_HOST": "shown"}, env_file=None)
    configure_logging(settings)
    log_settings(logging.getLogger("start"), settings)
    line = capsys.readouterr().err
    assert "effective settings: APP_ENV=development " in line
    assert "DB_HOST=shown" in line
    assert "DB_PASSWORD=********" in line
    assert "very-secret" not in line
    assert "API_USERS=" not in line, "what is not set is left out"
