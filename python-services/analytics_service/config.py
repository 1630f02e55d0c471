"""Settings: read once from the environment or `.env`, checked as a whole, frozen.

Each option is declared in one place (`options.py`) with its default, parser and documentation. The environment wins
over the file. Every problem is found before any is reported, so that an operator mends a file once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from zoneinfo import ZoneInfo

from analytics_service.channel_settings import channel_problems
from analytics_service.dotenv import DotenvError, read_dotenv
from analytics_service.options import OPTIONS, Option, Value
from analytics_service.production import production_problems

MASK = "********"


class ConfigurationError(Exception):
    """The settings cannot be used; `problems` holds one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{len(problems)} problem(s) in the configuration:\n{lines}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:  # pylint: disable=too-many-instance-attributes  # one for each setting
    """The effective settings; one attribute for each environment variable, in lower case."""

    app_env: str
    kafka_bootstrap_servers: str
    kafka_input_topic: str
    kafka_output_topic: str
    kafka_dlq_topic: str
    kafka_consumer_group: str
    kafka_notifier_group: str
    kafka_group_instance_id: str
    kafka_topic_partitions: int
    kafka_alert_partitions: int
    kafka_dlq_partitions: int
    kafka_replication_factor: int
    kafka_batch_size: int
    kafka_batch_timeout_ms: int
    db_host: str
    db_port: int
    db_name: str
    db_user: str
    db_password: str = field(repr=False)
    db_reader_user: str
    db_reader_password: str = field(repr=False)
    db_admin_password: str = field(repr=False)
    db_pool_min: int
    db_pool_max: int
    backup_directory: str
    backup_days: int
    backup_upload_command: str = field(repr=False)
    pg_client_directory: Path | None
    sql_dir: Path
    aggregation_windows: tuple[str, ...]
    retention_hot: int
    retention_warm: int
    retention_cold: int
    enable_compression: bool
    log_level: str
    log_format: str
    max_threads: int
    stats_interval_sec: int
    enable_metrics: bool
    metrics_port: int
    event_default_tz: str
    max_future_skew_sec: int
    max_event_age_days: int
    high_risk_threshold: float
    api_host: str
    api_port: int
    api_metrics_port: int
    api_trusted_proxies: tuple[str, ...]
    api_certificate_file: Path | None
    api_users: str = field(repr=False)
    api_users_file: Path | None
    api_keys: str = field(repr=False)
    api_auth_disabled: bool
    breaker_reset_sec: float
    slack_webhook_url: str = field(repr=False)
    smtp_host: str
    smtp_port: int
    smtp_user: str
    smtp_password: str = field(repr=False)
    smtp_tls: str
    smtp_from: str
    alert_email_to: tuple[str, ...]
    pagerduty_service_key: str = field(repr=False)
    pagerduty_events_url: str
    dashboard_url: str
    notify_group_wait_sec: float
    notify_group_interval_sec: float
    notify_repeat_sec: float
    notifier_metrics_port: int

    @property
    def is_production(self) -> bool:
        """Whether the strict rules of production hold."""
        return self.app_env == "production"

    @property
    def reader_password(self) -> str:
        """Password of the read-only database role; outside production derived when none is set."""
        return self.db_reader_password or self._derived("reader")

    @property
    def admin_password(self) -> str:
        """Password of the admin database role; outside production derived when none is set."""
        return self.db_admin_password or self._derived("admin")

    @property
    def default_tz(self) -> ZoneInfo:
        """Zone of event times that carry none."""
        return ZoneInfo(self.event_default_tz)

    def masked(self) -> dict[str, str]:
        """Every setting by its environment name as text, secrets replaced by asterisks."""
        shown: dict[str, str] = {}
        for option in OPTIONS:
            value = getattr(self, option.attribute)
            shown[option.name] = MASK if option.secret and value else option.render(value)
        return shown

    def public(self) -> dict[str, str]:
        """The settings that are not secret, by environment name."""
        return {o.name: o.render(getattr(self, o.attribute)) for o in OPTIONS if not o.secret}

    def _derived(self, role: str) -> str:
        if self.is_production or not self.db_password:
            return ""
        return hashlib.sha256(f"stacklens:{role}:{self.db_password}".encode()).hexdigest()[:32]


def load_settings(
    environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> Settings:
    """Read and check the settings.

    `environ` defaults to the process environment; `env_file` is skipped when it is absent.
    Raises ConfigurationError that lists every problem at once.
    """
    given = os.environ if environ is None else environ
    problems: list[str] = []
    merged = {**_from_file(env_file, problems), **_by_own_names(given)}
    values: dict[str, Value] = {}
    for option in OPTIONS:
        try:
            values[option.attribute] = option.read(merged)
        except ValueError as error:
            problems.append(f"{option.name}: {error}")
    problems += _cross_checks(values, merged)
    if problems:
        raise ConfigurationError(problems)
    return Settings(**values)  # type: ignore[arg-type]  # one attribute an option: a test compares the two


def _from_file(env_file: Path | None, problems: list[str]) -> dict[str, str]:
    if env_file is None or not env_file.is_file():
        return {}
    try:
        return read_dotenv(env_file)
    except DotenvError as error:
        problems.append(str(error))
        return {}


def _by_own_names(given: Mapping[str, str]) -> dict[str, str]:
    """The environment with what it gives by an alias under the option's own name too.

    So it wins over the file whichever of the names either of them uses.
    """
    named = {o.name: text for o in OPTIONS if o.aliases and (text := o.text_in(given))}
    return {**given, **named}


def _cross_checks(values: dict[str, Value], given: Mapping[str, str]) -> list[str]:
    """Rules over more than one setting, and defaults that depend on another; broken settings are absent."""
    problems = []
    if not given.get("MAX_EVENT_AGE_DAYS", "").strip() and "retention_warm" in values:
        values["max_event_age_days"] = values["retention_warm"]
    least, most = values.get("db_pool_min"), values.get("db_pool_max")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        problems.append("DB_POOL_MIN: must not be above DB_POOL_MAX")
    problems += channel_problems(values)
    if values.get("app_env") == "production":
        problems += production_problems(given, values)
    return problems


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that is started: this process's own, with changes."""
    return {**os.environ, **changes}


def option_names() -> list[str]:
    """Environment names of all settings, in the order of their declaration."""
    return [option.name for option in OPTIONS]


assert {f.name for f in fields(Settings)} == {o.attribute for o in OPTIONS}, (
    "options and Settings differ"
)

__all__ = [
    "ConfigurationError",
    "Option",
    "Settings",
    "child_environment",
    "load_settings",
    "option_names",
]
