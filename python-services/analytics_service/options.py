"""Every setting: environment name, default, parser and what it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from analytics_service.channel_settings import (
    ascii_text,
    mail_host,
    mail_recipients,
    mail_sender,
    required_web_address,
    secret_token,
    secret_web_address,
    web_address,
)
from analytics_service.parsers import (
    boolean,
    default_sql_dir,
    existing_dir,
    integer,
    networks,
    number,
    one_of,
    optional_path,
    required_text,
    servers,
    text,
    windows,
    zone,
)

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

    def text_in(self, given: Mapping[str, str]) -> str:
        """What `given` says, by the option's own name or else by an alias; an empty text counts as not set."""
        for name in (self.name, *self.aliases):
            if given.get(name, "").strip():
                return given[name]
        return ""

    def read(self, given: Mapping[str, str]) -> Value:
        """The parsed value from `given`, or the default."""
        given_text = self.text_in(given)
        if not given_text:
            return self.parse(self.default)
        return self.parse(given_text if self.secret else given_text.strip())

    @staticmethod
    def render(value: Value) -> str:
        """The value as an operator would write it."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, tuple):
            return ",".join(value)
        return "" if value is None else str(value)


port = integer(0, 65535)
days = integer(1, 36500)

# fmt: off
OPTIONS: tuple[Option, ...] = (
    Option("APP_ENV", "development", one_of("development", "test", "staging", "production"),
        "Which rules hold; production refuses defaults and short passwords.", aliases=("DEPLOYMENT_ENV",)),
    Option("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092", servers,
        "Brokers to begin with, host:port.", aliases=("KAFKA_BROKERS",)),
    Option("KAFKA_INPUT_TOPIC", "stacklens-analytics", required_text, "Topic of the enriched log events."),
    Option("KAFKA_OUTPUT_TOPIC", "analytics-alerts", required_text, "Topic of the alert transitions."),
    Option("KAFKA_DLQ_TOPIC", "analytics-dlq", required_text, "Topic of the dead letters' copies."),
    Option("KAFKA_CONSUMER_GROUP", "stacklens-analytics-service", required_text,
        "Consumer group of the workers."),
    Option("KAFKA_NOTIFIER_GROUP", "stacklens-alert-notifier", required_text, "Consumer group of the notifiers."),
    Option("KAFKA_GROUP_INSTANCE_ID", "", text,
        "Static membership: one value a worker. Makes its restart immediate; it then does not leave on SIGTERM."),
    Option("KAFKA_TOPIC_PARTITIONS", "6", integer(1, 10_000),
        "Partitions of the input topic when it is created."),
    Option("KAFKA_ALERT_PARTITIONS", "3", integer(1, 10_000),
        "Partitions of the alert topic when it is created."),
    Option("KAFKA_DLQ_PARTITIONS", "3", integer(1, 10_000), "Partitions of the dead-letter topic when created."),
    Option("KAFKA_REPLICATION_FACTOR", "1", integer(1, 9), "Replicas of the topics when they are created."),
    Option("KAFKA_BATCH_SIZE", "10000", integer(1, 1_000_000),
        "Most batches taken up in one step, as producers made them: one counts as one, however many events are in it."
        " Bytes bound a step too: 512 KiB a partition, or one batch that is larger."),
    Option("KAFKA_BATCH_TIMEOUT_MS", "1000", integer(1, 600_000),
        "How long a step may wait for events; at most, not at least."),
    Option("DB_HOST", "localhost", required_text, "Host of PostgreSQL with TimescaleDB."),
    Option("DB_PORT", "5432", integer(1, 65535), "Its port."),
    Option("DB_NAME", "stacklens", required_text, "Database."),
    Option("DB_USER", "stacklens_user", required_text, "Owner of the schema."),
    Option("DB_PASSWORD", "stacklens", text, "The owner's password.", secret=True),
    Option("DB_READER_USER", "stacklens_reader", required_text, "Read-only role that the API logs in as."),
    Option("DB_READER_PASSWORD", "", text,
        "Its password; outside production derived from DB_PASSWORD.", secret=True),
    Option("DB_ADMIN_PASSWORD", "", text,
        "Password of stacklens_admin; outside production derived.", secret=True),
    Option("DB_POOL_MIN", "1", integer(0, 1000), "Connections kept open by a process."),
    Option("DB_POOL_MAX", "10", integer(1, 1000), "Most connections of a process."),
    Option("BACKUP_DIRECTORY", "/backups", required_text, "Where `stacklens backup` keeps its files."),
    Option("BACKUP_DAYS", "30", days, "Days that backups are kept."),
    Option("BACKUP_UPLOAD_COMMAND", "", text,
        "Run by a shell after each backup with the file's name behind it, such as a copy to another place.",
        secret=True),
    Option("PG_CLIENT_DIRECTORY", "", optional_path,
        "Directory of pg_dump and psql; empty: PATH, then where distributions put each version."),
    Option("SQL_DIR", default_sql_dir(), existing_dir, "Directory of migrations, functions and views."),
    Option("AGGREGATION_WINDOWS", "1min,5min,1hour", windows, "Windows that are kept."),
    Option("RETENTION_HOT", "1", days, "Days that raw events are kept."),
    Option("RETENTION_WARM", "7", days, "Days that 1min windows are kept."),
    Option("RETENTION_COLD", "30", days, "Days that 5min and 1hour windows are kept."),
    Option("ENABLE_COMPRESSION", "false", boolean,
        "Compress old chunks when archiving; needs TimescaleDB's own licence, skipped under Apache's."),
    Option("LOG_LEVEL", "INFO", one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", fold=str.upper),
        "Least level logged."),
    Option("LOG_FORMAT", "text", one_of("text", "json"), "One line of text, or one JSON object, an entry."),
    Option("MAX_THREADS", "8", integer(1, 256), "Threads of a process for blocking calls."),
    Option("STATS_INTERVAL_SEC", "30", integer(1, 86_400), "Seconds between two lines of figures in the log."),
    Option("ENABLE_METRICS", "true", boolean, "Serve /metrics; /health is always served."),
    Option("METRICS_PORT", "8004", port, "Port of the worker's health and metrics; 0: a free one, logged."),
    Option("EVENT_DEFAULT_TZ", "UTC", zone, "Zone of event times that carry none."),
    Option("MAX_FUTURE_SKEW_SEC", "300", integer(0, 86_400), "Events further ahead of now are dead letters."),
    Option("MAX_EVENT_AGE_DAYS", "7", days,
        "Events further behind now are dead letters; default RETENTION_WARM."),
    Option("HIGH_RISK_THRESHOLD", "0.8", number(0.0, 1.0), "Events with risk above it count as high risk."),
    Option("API_HOST", "127.0.0.1", required_text, "Address the API listens on."),
    Option("API_PORT", "8005", port, "Port of the API; 0: a free one, logged."),
    Option("API_METRICS_PORT", "9105", port,
        "Port of the API's own Prometheus metrics; 0: a free one, logged. Never to be published."),
    Option("API_TRUSTED_PROXIES", "", networks,
        "Proxies whose X-Forwarded-For is believed: addresses or networks, comma separated."),
    Option("API_CERTIFICATE_FILE", "", optional_path,
        "Certificate (PEM) of whatever serves the API by TLS, to be warned before it ends; empty: none."),
    Option("API_USERS", "", text,
        "Users: name:role:hash, comma separated; `stacklens hash-password` makes the hash.", secret=True),
    Option("API_USERS_FILE", "", optional_path, "File with one name:role:hash a line, instead of API_USERS."),
    Option("API_KEYS", "", text, "Bearer keys: name:role:hash, comma separated.", secret=True),
    Option("API_AUTH_DISABLED", "false", boolean, "No passwords at all; refused in production."),
    Option("BREAKER_RESET_SEC", "60", number(0.1, 86_400),
        "Seconds until an open notification breaker is tried again."),
    Option("SLACK_WEBHOOK_URL", "", secret_web_address,
        "Slack's incoming webhook; empty: Slack is off.", secret=True),
    Option("SMTP_HOST", "", mail_host, "Host that takes mail for delivery; empty: email is off."),
    Option("SMTP_PORT", "587", integer(1, 65535), "Its port; 465 is usual with SMTP_TLS=implicit."),
    Option("SMTP_USER", "", ascii_text, "User to log in as; empty: no login."),
    Option("SMTP_PASSWORD", "", ascii_text, "The user's password.", secret=True),
    Option("SMTP_TLS", "starttls", one_of("starttls", "implicit", "none"),
        "starttls: required, never fallen back from; implicit: TLS from the first byte; none: in the clear."),
    Option("SMTP_FROM", "", mail_sender,
        "Sender, alone or as Name <address>; empty: stacklens at the first recipient's domain."),
    Option("ALERT_EMAIL_TO", "", mail_recipients, "Who gets the mail, comma separated addresses."),
    Option("PAGERDUTY_SERVICE_KEY", "", secret_token,
        "Integration key of a PagerDuty service (Events v2); empty: PagerDuty is off.", secret=True),
    Option("PAGERDUTY_EVENTS_URL", "https://events.pagerduty.com/v2/enqueue", required_web_address,
        "Where PagerDuty takes events."),
    Option("DASHBOARD_URL", "", web_address,
        "Address of the dashboard as people reach it, for links; empty: no links."),
    Option("NOTIFY_GROUP_WAIT_SEC", "1", number(0.0, 3_600),
        "Seconds that the first message about a service waits for company."),
    Option("NOTIFY_GROUP_INTERVAL_SEC", "60", number(0.0, 86_400),
        "Least seconds between two messages about a service."),
    Option("NOTIFY_REPEAT_SEC", "14400", number(0.1, 31_536_000),
        "Seconds until an alert that still fires, and that nobody acknowledged, is told again."),
    Option("NOTIFIER_METRICS_PORT", "8006", port,
        "Port of the notifier's health and metrics; 0: a free one, logged."),
)
# fmt: on
