"""Every setting: environment name, default, parser and what it is for."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from analytics_service.domain.windows import WINDOWS

Value = str | int | float | bool | Path | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `parse` raises ValueError with a sentence that says what is allowed."""

    name: str
    default: str
    parse: Callable[[str], Value]
    doc: str
    secret: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def attribute(self) -> str:
        """Name of the attribute of Settings."""
        return self.name.lower()

    def read(self, given: Mapping[str, str]) -> Value:
        """The parsed value from `given`; an empty text counts as not set."""
        for name in (self.name, *self.aliases):
            text = given.get(name, "")
            if text.strip():
                return self.parse(text if self.secret else text.strip())
        return self.parse(self.default)

    @staticmethod
    def render(value: Value) -> str:
        """The value as an operator would write it."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, tuple):
            return ",".join(value)
        return "" if value is None else str(value)


def text(value: str) -> str:
    """Any text without NUL characters."""
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


def required_text(value: str) -> str:
    """Text that is not empty."""
    if not value:
        raise ValueError("must not be empty")
    return text(value)


def integer(low: int, high: int) -> Callable[[str], int]:
    """Parser of a whole number from `low` to `high`."""

    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"must be a whole number, not {value!r}") from None
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}, not {number}")
        return number

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """Parser of a finite number from `low` to `high`."""

    def parse(value: str) -> float:
        try:
            parsed = float(value)
        except ValueError:
            raise ValueError(f"must be a number, not {value!r}") from None
        if not math.isfinite(parsed) or not low <= parsed <= high:
            raise ValueError(f"must be from {low:g} to {high:g}, not {value}")
        return parsed

    return parse


def boolean(value: str) -> bool:
    """true/false, yes/no, on/off, 1/0 in any case."""
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False}
    if value.lower() not in known:
        raise ValueError(f"must be true or false, not {value!r}")
    return known[value.lower()]


def one_of(*allowed: str, fold: Callable[[str], str] = str.lower) -> Callable[[str], str]:
    """Parser of one word out of `allowed`, any case."""

    def parse(value: str) -> str:
        if fold(value) not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, not {value!r}")
        return fold(value)

    return parse


def servers(value: str) -> str:
    """Comma separated host:port."""
    for part in value.split(","):
        host, _, port = part.strip().rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"must be host:port, separated by commas; {part.strip()!r} is not")
    return ",".join(part.strip() for part in value.split(","))


def zone(value: str) -> str:
    """An IANA time-zone name."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"must be an IANA time zone such as UTC or Europe/Berlin, not {value!r}"
        ) from None
    return value


def windows(value: str) -> tuple[str, ...]:
    """Comma separated window names, in the product's order."""
    allowed = [window.name for window in WINDOWS]
    asked = [part.strip() for part in value.split(",") if part.strip()]
    for name in asked:
        if name not in allowed:
            raise ValueError(f"{name!r} is not a window; allowed: {', '.join(allowed)}")
    if not asked:
        raise ValueError(f"must name at least one of {', '.join(allowed)}")
    return tuple(name for name in allowed if name in asked)


def optional_path(value: str) -> Path | None:
    """A path, or nothing."""
    return Path(value) if value else None


def existing_dir(value: str) -> Path:
    """A directory that is there."""
    path = Path(value)
    if not path.is_dir():
        raise ValueError(f"no such directory: {value}")
    return path


def default_sql_dir() -> str:
    """The migrations beside the checkout, or where an installation puts them."""
    beside = Path(__file__).resolve().parents[2] / "sql"
    return str(beside if beside.is_dir() else Path(sys.prefix) / "share" / "stacklens" / "sql")


_PORT = integer(0, 65535)
_DAYS = integer(1, 36500)

OPTIONS: tuple[Option, ...] = (
    Option(
        "APP_ENV",
        "development",
        one_of("development", "test", "staging", "production"),
        "Which rules hold; production refuses defaults and short passwords.",
        aliases=("DEPLOYMENT_ENV",),
    ),
    Option(
        "KAFKA_BOOTSTRAP_SERVERS",
        "localhost:9092",
        servers,
        "Brokers to begin with, host:port.",
        aliases=("KAFKA_BROKERS",),
    ),
    Option(
        "KAFKA_INPUT_TOPIC",
        "stacklens-analytics",
        required_text,
        "Topic of the enriched log events.",
    ),
    Option(
        "KAFKA_OUTPUT_TOPIC", "analytics-alerts", required_text, "Topic of the alert transitions."
    ),
    Option("KAFKA_DLQ_TOPIC", "analytics-dlq", required_text, "Topic of the dead letters' copies."),
    Option(
        "KAFKA_CONSUMER_GROUP",
        "stacklens-analytics-service",
        required_text,
        "Consumer group of the workers.",
    ),
    Option(
        "KAFKA_NOTIFIER_GROUP",
        "stacklens-alert-notifier",
        required_text,
        "Consumer group of the notifiers.",
    ),
    Option(
        "KAFKA_GROUP_INSTANCE_ID",
        "",
        text,
        "Static membership: one value a worker. Makes its restart immediate; it then does not leave on SIGTERM.",
    ),
    Option(
        "KAFKA_TOPIC_PARTITIONS",
        "6",
        integer(1, 10_000),
        "Partitions of the input topic when it is created.",
    ),
    Option(
        "KAFKA_ALERT_PARTITIONS",
        "3",
        integer(1, 10_000),
        "Partitions of the alert topic when it is created.",
    ),
    Option(
        "KAFKA_DLQ_PARTITIONS",
        "3",
        integer(1, 10_000),
        "Partitions of the dead-letter topic when created.",
    ),
    Option(
        "KAFKA_REPLICATION_FACTOR",
        "1",
        integer(1, 9),
        "Replicas of the topics when they are created.",
    ),
    Option(
        "KAFKA_BATCH_SIZE",
        "10000",
        integer(1, 1_000_000),
        "Most events of one partition handled in one step.",
    ),
    Option(
        "KAFKA_BATCH_TIMEOUT_MS",
        "1000",
        integer(1, 600_000),
        "How long a step may wait for events; at most, not at least.",
    ),
    Option("DB_HOST", "localhost", required_text, "Host of PostgreSQL with TimescaleDB."),
    Option("DB_PORT", "5432", integer(1, 65535), "Its port."),
    Option("DB_NAME", "stacklens", required_text, "Database."),
    Option("DB_USER", "stacklens_user", required_text, "Owner of the schema."),
    Option("DB_PASSWORD", "stacklens", text, "The owner's password.", secret=True),
    Option(
        "DB_READER_USER",
        "stacklens_reader",
        required_text,
        "Read-only role that the API logs in as.",
    ),
    Option(
        "DB_READER_PASSWORD",
        "",
        text,
        "Its password; outside production derived from DB_PASSWORD.",
        secret=True,
    ),
    Option(
        "DB_ADMIN_PASSWORD",
        "",
        text,
        "Password of stacklens_admin; outside production derived.",
        secret=True,
    ),
    Option("DB_POOL_MIN", "1", integer(0, 1000), "Connections kept open by a process."),
    Option("DB_POOL_MAX", "10", integer(1, 1000), "Most connections of a process."),
    Option(
        "SQL_DIR", default_sql_dir(), existing_dir, "Directory of migrations, functions and views."
    ),
    Option("AGGREGATION_WINDOWS", "1min,5min,1hour", windows, "Windows that are kept."),
    Option("RETENTION_HOT", "1", _DAYS, "Days that raw events are kept."),
    Option("RETENTION_WARM", "7", _DAYS, "Days that 1min windows are kept."),
    Option("RETENTION_COLD", "30", _DAYS, "Days that 5min and 1hour windows are kept."),
    Option(
        "LOG_LEVEL",
        "INFO",
        one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", fold=str.upper),
        "Least level logged.",
    ),
    Option(
        "LOG_FORMAT",
        "text",
        one_of("text", "json"),
        "One line of text, or one JSON object, an entry.",
    ),
    Option("MAX_THREADS", "8", integer(1, 256), "Threads of a process for blocking calls."),
    Option(
        "STATS_INTERVAL_SEC",
        "30",
        integer(1, 86_400),
        "Seconds between two lines of figures in the log.",
    ),
    Option("ENABLE_METRICS", "true", boolean, "Serve /metrics; /health is always served."),
    Option(
        "METRICS_PORT",
        "8004",
        _PORT,
        "Port of the worker's health and metrics; 0: a free one, logged.",
    ),
    Option("EVENT_DEFAULT_TZ", "UTC", zone, "Zone of event times that carry none."),
    Option(
        "MAX_FUTURE_SKEW_SEC",
        "300",
        integer(0, 86_400),
        "Events further ahead of now are dead letters.",
    ),
    Option(
        "MAX_EVENT_AGE_DAYS",
        "7",
        _DAYS,
        "Events further behind now are dead letters; default RETENTION_WARM.",
    ),
    Option(
        "HIGH_RISK_THRESHOLD",
        "0.8",
        number(0.0, 1.0),
        "Events with risk above it count as high risk.",
    ),
    Option("API_HOST", "127.0.0.1", required_text, "Address the API listens on."),
    Option("API_PORT", "8005", _PORT, "Port of the API; 0: a free one, logged."),
    Option("API_METRICS_PORT", "9105", _PORT, "Port of the API's own Prometheus metrics."),
    Option(
        "API_USERS",
        "",
        text,
        "Users: name:role:hash, comma separated; `stacklens hash-password` makes the hash.",
        secret=True,
    ),
    Option(
        "API_USERS_FILE",
        "",
        optional_path,
        "File with one name:role:hash a line, instead of API_USERS.",
    ),
    Option("API_KEYS", "", text, "Bearer keys: name:role:hash, comma separated.", secret=True),
    Option("API_AUTH_DISABLED", "false", boolean, "No passwords at all; refused in production."),
    Option(
        "BREAKER_RESET_SEC",
        "60",
        number(0.1, 86_400),
        "Seconds until an open notification breaker is tried again.",
    ),
)
