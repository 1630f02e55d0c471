"""Every setting: its default, what it takes, what it refuses; and the file, the masks, production."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from analytics_service.config import (
    MASK,
    ConfigurationError,
    Settings,
    load_settings,
    option_names,
)
from analytics_service.dotenv import DotenvError, read_dotenv

REPOSITORY = Path(__file__).resolve().parents[2]

# name: (default, [(text, value it stands for), ...], [text that is refused, ...])
OPTIONS: dict[str, tuple[Any, list[tuple[str, Any]], list[str]]] = {
    "APP_ENV": ("development", [("Test", "test"), ("staging", "staging")], ["prod", "dev"]),
    "KAFKA_BOOTSTRAP_SERVERS": (
        "localhost:9092",
        [("a:1, b:65535", "a:1,b:65535"), ("[::1]:9092", "[::1]:9092")],
        ["localhost", "a:0", "a:65536", "a:x", ":9092", "a:1,,b:2"],
    ),
    "KAFKA_INPUT_TOPIC": ("stacklens-analytics", [("t", "t")], ["nul\0"]),
    "KAFKA_OUTPUT_TOPIC": ("analytics-alerts", [("t", "t")], ["nul\0"]),
    "KAFKA_DLQ_TOPIC": ("analytics-dlq", [("t", "t")], ["nul\0"]),
    "KAFKA_CONSUMER_GROUP": ("stacklens-analytics-service", [("g", "g")], ["nul\0"]),
    "KAFKA_NOTIFIER_GROUP": ("stacklens-alert-notifier", [("g", "g")], ["nul\0"]),
    "KAFKA_GROUP_INSTANCE_ID": ("", [("worker-1", "worker-1")], ["nul\0"]),
    "KAFKA_TOPIC_PARTITIONS": (6, [("1", 1), ("10000", 10_000)], ["0", "10001", "six", "1.5"]),
    "KAFKA_ALERT_PARTITIONS": (3, [("1", 1)], ["0", "-1"]),
    "KAFKA_DLQ_PARTITIONS": (3, [("1", 1)], ["0", "x"]),
    "KAFKA_REPLICATION_FACTOR": (1, [("3", 3)], ["0", "10"]),
    "KAFKA_BATCH_SIZE": (10_000, [("100", 100), ("1", 1)], ["0", "1000001"]),
    "KAFKA_BATCH_TIMEOUT_MS": (1_000, [("10000", 10_000)], ["0", "600001"]),
    "DB_HOST": ("localhost", [("db.example", "db.example")], ["nul\0"]),
    "DB_PORT": (5432, [("1", 1), ("65535", 65_535)], ["0", "65536", "port"]),
    "DB_NAME": ("stacklens", [("other", "other")], ["nul\0"]),
    "DB_USER": ("stacklens_user", [("other", "other")], ["nul\0"]),
    "DB_PASSWORD": ("stacklens", [(" sp ace ", " sp ace ")], ["nul\0"]),
    "DB_READER_USER": ("stacklens_reader", [("other", "other")], ["nul\0"]),
    "DB_READER_PASSWORD": ("", [("r", "r")], ["nul\0"]),
    "DB_ADMIN_PASSWORD": ("", [("a", "a")], ["nul\0"]),
    "DB_POOL_MIN": (1, [("0", 0), ("10", 10)], ["-1", "1001"]),
    "DB_POOL_MAX": (10, [("1", 1), ("1000", 1000)], ["0", "1001"]),
    "BACKUP_DIRECTORY": ("/backups", [("there", "there")], ["nul\0"]),
    "BACKUP_DAYS": (30, [("1", 1), ("36500", 36500)], ["0", "36501", "x"]),
    "BACKUP_UPLOAD_COMMAND": ("", [("copy --to 'x'", "copy --to 'x'")], ["nul\0"]),
    "PG_CLIENT_DIRECTORY": (None, [("/opt/pg/bin", Path("/opt/pg/bin"))], []),
    "SQL_DIR": (REPOSITORY / "sql", [("/tmp", Path("/tmp"))], ["/nowhere/at/all"]),
    "AGGREGATION_WINDOWS": (
        ("1min", "5min", "1hour"),
        [("1hour", ("1hour",)), (" 5min , 1min ", ("1min", "5min")), ("1min,1min", ("1min",))],
        ["2min", ",", "1min;5min"],
    ),
    "RETENTION_HOT": (1, [("2", 2)], ["0", "36501", "1 day"]),
    "RETENTION_WARM": (7, [("8", 8)], ["0", "x"]),
    "RETENTION_COLD": (30, [("90", 90)], ["0", "x"]),
    "ENABLE_COMPRESSION": (False, [("true", True), ("no", False)], ["maybe"]),
    "LOG_LEVEL": ("INFO", [("debug", "DEBUG"), ("Error", "ERROR")], ["verbose"]),
    "LOG_FORMAT": ("text", [("JSON", "json")], ["xml"]),
    "MAX_THREADS": (8, [("1", 1), ("256", 256)], ["0", "257"]),
    "STATS_INTERVAL_SEC": (30, [("1", 1)], ["0", "86401"]),
    "ENABLE_METRICS": (
        True,
        [("False", False), ("no", False), ("0", False), ("OFF", False), ("yes", True), ("1", True)],
        ["maybe", "2"],
    ),
    "METRICS_PORT": (8004, [("0", 0), ("65535", 65_535)], ["-1", "65536"]),
    "EVENT_DEFAULT_TZ": (
        "UTC",
        [("Europe/Berlin", "Europe/Berlin")],
        ["Mars/Olympus", "../../etc/passwd", "+02:00"],
    ),
    "MAX_FUTURE_SKEW_SEC": (300, [("0", 0)], ["-1", "86401"]),
    "MAX_EVENT_AGE_DAYS": (7, [("36500", 36_500)], ["0", "36501"]),
    "HIGH_RISK_THRESHOLD": (0.8, [("0", 0.0), ("1", 1.0), ("5e-1", 0.5)], ["1.01", "nan", "inf"]),
    "API_HOST": ("127.0.0.1", [("0.0.0.0", "0.0.0.0")], ["nul\0"]),
    "API_PORT": (8005, [("0", 0)], ["65536"]),
    "API_METRICS_PORT": (9105, [("0", 0)], ["65536"]),
    "API_CERTIFICATE_FILE": (None, [("/there/tls.crt", Path("/there/tls.crt"))], []),
    "API_TRUSTED_PROXIES": (
        (),
        [
            ("10.1.1.1, 172.16.0.0/12,", ("10.1.1.1/32", "172.16.0.0/12")),
            ("2001:db8::/32", ("2001:db8::/32",)),
        ],
        ["nginx", "10.0.0.0/33", "1.2.3"],
    ),
    "API_USERS": ("", [("a:admin:hash", "a:admin:hash")], ["nul\0"]),
    "API_USERS_FILE": (None, [("/run/users", Path("/run/users"))], []),
    "API_KEYS": ("", [("k:viewer:hash", "k:viewer:hash")], ["nul\0"]),
    "API_AUTH_DISABLED": (False, [("1", True)], ["perhaps"]),
    "BREAKER_RESET_SEC": (60.0, [("0.5", 0.5)], ["0", "x", "-inf"]),
    "SLACK_WEBHOOK_URL": (
        "",
        [
            (
                "https://hooks.slack.example/services/T0/B0/x",
                "https://hooks.slack.example/services/T0/B0/x",
            ),
            (" http://127.0.0.1:8090/services/x\n", "http://127.0.0.1:8090/services/x"),
        ],
        [
            "hooks.slack.example/services/x",
            "ftp://a/b",
            "https://?",
            "https:///path",
            "https://a:x/b",
            "https://u:p@a/b",
            "https://a/b c",
            "https://a/\r\nb",
            "https://a/<b>",
            "https://[a/b",
            "nul\0",
        ],
    ),
    "SMTP_HOST": ("", [("mail.example", "mail.example"), ("::1", "::1")], ["a b", "a\nb", "a/b"]),
    "SMTP_PORT": (587, [("25", 25)], ["0", "65536", "smtp"]),
    "SMTP_USER": ("", [("bot", "bot")], ["bö", "a\nb"]),
    "SMTP_PASSWORD": ("", [(" sp ace ", " sp ace ")], ["pässword", "two\nlines", "nul\0"]),
    "SMTP_TLS": ("starttls", [("Implicit", "implicit"), ("none", "none")], ["tls", "yes"]),
    "SMTP_FROM": (
        "",
        [("a@b.example", "a@b.example"), ("Stack Lens <a@b>", "Stack Lens <a@b>")],
        ["a", "a@", "@b", "a@b@c", "a b@c", "A <a@b> b", "A\r\nBcc: <a@b>", "A <a@b\n>"],
    ),
    "ALERT_EMAIL_TO": (
        (),
        [("a@b", ("a@b",)), (" a@b , c@d.example, a@b", ("a@b", "c@d.example"))],
        [
            "a",
            "a@b,",
            "a..b@c",
            ".a@c",
            "a@b..c",
            "a@b;c@d",
            "A <a@b>",
            "a@b\r\nRCPT TO:<c@d>",
            "a@-b",
            "ü@b",
        ],
    ),
    "PAGERDUTY_SERVICE_KEY": ("", [("k" * 32, "k" * 32), (" key\n", "key")], ["two words", "kéy"]),
    "PAGERDUTY_EVENTS_URL": (
        "https://events.pagerduty.com/v2/enqueue",
        [("http://127.0.0.1:1/v2/enqueue", "http://127.0.0.1:1/v2/enqueue")],
        ["/", "events.pagerduty.com", "https://u@a/b", "https://a/b?c=d", "https://a:0/b"],
    ),
    "DASHBOARD_URL": (
        "",
        [("https://lens.example/", "https://lens.example"), ("http://a/b//", "http://a/b")],
        ["lens.example", "https://a/#/b", "javascript:alert(1)", 'https://a/"b'],
    ),
    "NOTIFY_GROUP_WAIT_SEC": (1.0, [("0", 0.0), ("2.5", 2.5)], ["-1", "3601", "x"]),
    "NOTIFY_GROUP_INTERVAL_SEC": (60.0, [("0", 0.0)], ["-1", "nan"]),
    "NOTIFY_REPEAT_SEC": (14_400.0, [("0.1", 0.1)], ["0", "-1"]),
    "NOTIFIER_METRICS_PORT": (8006, [("0", 0)], ["65536"]),
}
SECRETS = {
    "BACKUP_UPLOAD_COMMAND",
    "DB_PASSWORD", "DB_READER_PASSWORD", "DB_ADMIN_PASSWORD", "API_USERS", "API_KEYS",
    "SLACK_WEBHOOK_URL", "SMTP_PASSWORD", "PAGERDUTY_SERVICE_KEY",
}  # fmt: skip
# Settings that only make sense together with others.
COMPANIONS = {
    "SMTP_HOST": {"ALERT_EMAIL_TO": "a@b"},
    "ALERT_EMAIL_TO": {"SMTP_HOST": "mail"},
    "SMTP_USER": {"SMTP_PASSWORD": "p"},
    "SMTP_PASSWORD": {"SMTP_USER": "u"},
}
PRODUCTION = {
    "APP_ENV": "production",
    "DB_PASSWORD": "a-long-enough-owner-secret",
    "DB_READER_PASSWORD": "a-long-enough-reader-secret",
    "DB_ADMIN_PASSWORD": "a-long-enough-admin-secret",
    "API_USERS": "ops:admin:scrypt-hash",
}


def load(environ: dict[str, str]) -> Settings:
    """Settings from these variables alone."""
    return load_settings(environ, env_file=None)


def problems_of(environ: dict[str, str]) -> list[str]:
    """What is wrong with these variables."""
    with pytest.raises(ConfigurationError) as caught:
        load(environ)
    return caught.value.problems


def test_the_table_names_every_option() -> None:
    assert sorted(OPTIONS) == sorted(option_names())
    assert len(option_names()) == len(set(option_names()))
    names = {field.name for field in dataclasses.fields(Settings)}
    assert names == {name.lower() for name in OPTIONS}


@pytest.mark.parametrize("name", OPTIONS)
def test_default(name: str) -> None:
    default = OPTIONS[name][0]
    assert getattr(load({}), name.lower()) == default
    assert getattr(load({name: "  "}), name.lower()) == default, "blank counts as not set"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [(name, text, value) for name, (_, good, _) in OPTIONS.items() for text, value in good],
)
def test_good_value(name: str, text: str, value: Any) -> None:
    found = getattr(load({**COMPANIONS.get(name, {}), name: text}), name.lower())
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, (_, _, bad) in OPTIONS.items() for text in bad]
)
def test_bad_value(name: str, text: str) -> None:
    (problem,) = problems_of({name: text})
    assert problem.startswith(f"{name}: ")
    if name in SECRETS:
        assert text not in problem


def test_every_problem_is_told_at_once() -> None:
    problems = problems_of(
        {"DB_PORT": "x", "LOG_LEVEL": "loud", "DB_POOL_MIN": "9", "DB_POOL_MAX": "5"}
    )
    assert {problem.partition(":")[0] for problem in problems} == {
        "DB_PORT", "LOG_LEVEL", "DB_POOL_MIN",
    }  # fmt: skip
    text = str(ConfigurationError(problems))
    assert text.startswith("3 problem(s) in the configuration:\n")
    assert all(f"\n  - {problem}" in text for problem in problems)


@pytest.mark.parametrize(
    ("alias", "name"), [("KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"), ("DEPLOYMENT_ENV", "APP_ENV")]
)
def test_an_alias_stands_in_and_the_name_itself_wins(alias: str, name: str) -> None:
    first, second = ("a:1", "b:2") if alias == "KAFKA_BROKERS" else ("test", "staging")
    assert getattr(load({alias: first}), name.lower()) == first
    assert getattr(load({alias: first, name: second}), name.lower()) == second
    assert problems_of({alias: "?"})[0].startswith(name)


@pytest.mark.parametrize("empty", [{}, {"APP_ENV": "", "KAFKA_BOOTSTRAP_SERVERS": " "}])
def test_an_alias_in_the_environment_wins_over_the_name_in_the_file(
    tmp_path: Path, empty: dict[str, str]
) -> None:
    file = tmp_path / ".env"
    file.write_text("APP_ENV=development\nKAFKA_BOOTSTRAP_SERVERS=b:2\n", encoding="utf-8")
    given = {"DEPLOYMENT_ENV": "staging", "KAFKA_BROKERS": "a:1", **empty}
    settings = load_settings(given, file)
    assert (settings.app_env, settings.kafka_bootstrap_servers) == ("staging", "a:1")
    # What production refuses is refused however it is called.
    with pytest.raises(ConfigurationError, match="DB_PASSWORD: is a default"):
        load_settings({**given, "DEPLOYMENT_ENV": "production", "DB_PASSWORD": "changeme"}, file)


def test_an_alias_in_the_file_yields_to_the_name_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DEPLOYMENT_ENV=staging\nAPP_ENV=test\nKAFKA_BROKERS=b:2\n", encoding="utf-8")
    given = {"KAFKA_BOOTSTRAP_SERVERS": "a:1"}
    settings = load_settings(given, file)
    assert (settings.app_env, settings.kafka_bootstrap_servers) == ("test", "a:1")


def test_the_age_limit_follows_the_warm_tier_unless_it_is_set() -> None:
    assert load({"RETENTION_WARM": "14"}).max_event_age_days == 14
    assert load({"RETENTION_WARM": "14", "MAX_EVENT_AGE_DAYS": "3"}).max_event_age_days == 3


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"SMTP_HOST": "mail"}, "ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "a@b"}, "SMTP_HOST"),
        ({"SMTP_PASSWORD": "hidden"}, "SMTP_USER"),
        ({"SMTP_USER": "u"}, "SMTP_PASSWORD"),
    ],
)
def test_a_channel_that_is_set_by_half_is_a_problem(given: dict[str, str], missing: str) -> None:
    (problem,) = problems_of(given)
    assert problem.startswith(f"{missing}: must be set when {next(iter(given))} is")
    assert "hidden" not in problem


def test_a_broken_setting_is_told_once_not_as_missing_too() -> None:
    (problem,) = problems_of({"SMTP_HOST": "mail", "ALERT_EMAIL_TO": "nobody"})
    assert problem.startswith("ALERT_EMAIL_TO: must be addresses")


def test_settings_are_frozen() -> None:
    settings = load({})
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.db_host = "elsewhere"  # type: ignore[misc]  # which is the point
    assert load({"EVENT_DEFAULT_TZ": "Asia/Tokyo"}).default_tz == ZoneInfo("Asia/Tokyo")


def test_secrets_are_masked_everywhere() -> None:
    given = {name: f"hidden-{name.lower()}" for name in SECRETS}
    given["SLACK_WEBHOOK_URL"] = "https://slack.example/services/hidden"
    settings = load({**given, "DB_HOST": "shown", "SMTP_USER": "u"})
    masked = settings.masked()
    assert set(masked) == set(OPTIONS)
    assert {name for name, text in masked.items() if text == MASK} == SECRETS
    assert masked["DB_HOST"] == "shown"
    assert masked["AGGREGATION_WINDOWS"] == "1min,5min,1hour"
    assert masked["ENABLE_METRICS"] == "true"
    assert "hidden" not in repr(settings) + str(masked) + str(settings.public())
    assert set(settings.public()) == set(OPTIONS) - SECRETS
    assert load({}).masked()["API_USERS"] == "", "a secret that is not set shows as such"


def test_derived_role_passwords() -> None:
    settings = load({"DB_PASSWORD": "one"})
    reader, admin = settings.reader_password, settings.admin_password
    assert len({reader, admin, "one", ""}) == 4
    assert load({"DB_PASSWORD": "one"}).reader_password == reader, "the same in every process"
    assert load({"DB_PASSWORD": "two"}).reader_password != reader
    given = load({"DB_READER_PASSWORD": "r", "DB_ADMIN_PASSWORD": "a"})
    assert (given.reader_password, given.admin_password) == ("r", "a")


# --- the .env file -------------------------------------------------------------------------------


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DB_HOST=from-file\nDB_NAME=from-file\n")
    settings = load_settings({"DB_HOST": "from-environment"}, file)
    assert (settings.db_host, settings.db_name) == ("from-environment", "from-file")
    assert load_settings({}, tmp_path / "absent").db_host == "localhost"


def test_the_process_environment_and_the_file_beside_it_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("DB_NAME=beside\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DB_HOST", "around")
    monkeypatch.delenv("DB_NAME", raising=False)
    settings = load_settings()
    assert (settings.db_host, settings.db_name) == ("around", "beside")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("  export NAME = value  ", "value"),
        ("NAME=", ""),
        ("NAME=a b # comment", "a b"),
        ("NAME=a#b", "a#b"),
        ('NAME="a # b"', "a # b"),
        ("NAME='it is \"so\"'", 'it is "so"'),
        ("NAME=$HOME", "$HOME"),
        ("NAME=a=b", "a=b"),
        ("NAME=ü", "ü"),
        ("# first\n\nNAME=1\nNAME=2", "2"),
    ],
)
def test_a_line_of_the_file(tmp_path: Path, line: str, value: str) -> None:
    file = tmp_path / ".env"
    file.write_text(line + "\n", encoding="utf-8")
    assert read_dotenv(file) == {"NAME": value}


@pytest.mark.parametrize("line", ["no sign of equality", "1NAME=x", "NAME='open", 'NAME="open'])
def test_a_bad_line_is_named_among_the_other_problems(tmp_path: Path, line: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(DotenvError, match=r"^\.env, line 2: "):
        read_dotenv(file)
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"DB_PORT": "x"}, file)
    assert len(caught.value.problems) == 2


# --- production ----------------------------------------------------------------------------------


def test_production_runs_with_secrets_of_its_own() -> None:
    settings = load(PRODUCTION)
    assert settings.is_production
    assert settings.reader_password == PRODUCTION["DB_READER_PASSWORD"]
    file = {k: v for k, v in PRODUCTION.items() if k != "API_USERS"} | {"API_USERS_FILE": "/x"}
    assert load(file).api_users_file == Path("/x")
    assert not load({}).is_production


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        # what is changed of a good production environment, and what the refusal names
        ({"DB_PASSWORD": ""}, "DB_PASSWORD"),
        ({"DB_READER_PASSWORD": ""}, "DB_READER_PASSWORD"),
        ({"DB_ADMIN_PASSWORD": ""}, "DB_ADMIN_PASSWORD"),
        ({"DB_PASSWORD": "stacklens"}, "DB_PASSWORD"),
        ({"DB_PASSWORD": "secure_password"}, "DB_PASSWORD"),
        ({"DB_PASSWORD": "Change-Me-please-do"}, "DB_PASSWORD"),
        ({"DB_READER_PASSWORD": "elevenchars"}, "DB_READER_PASSWORD"),
        ({"API_AUTH_DISABLED": "1"}, "API_AUTH_DISABLED"),
        ({"API_USERS": ""}, "API_USERS"),
        ({"API_USERS": "admin:admin:change-me"}, "API_USERS"),
        ({"GRAFANA_ADMIN_PASSWORD": "CHANGE-ME"}, "GRAFANA_ADMIN_PASSWORD"),
        ({"GRAFANA_ADMIN_PASSWORD": "short"}, "GRAFANA_ADMIN_PASSWORD"),
        ({"LOG_LEVEL": "debug"}, "LOG_LEVEL"),
        (
            {
                "SMTP_HOST": "mail",
                "ALERT_EMAIL_TO": "a@b",
                "SMTP_USER": "u",
                "SMTP_PASSWORD": "a-long-enough-mail-secret",
                "SMTP_TLS": "none",
            },
            "SMTP_TLS",
        ),
    ],
)
def test_production_refuses(changes: dict[str, str], named: str) -> None:
    (problem,) = problems_of({**PRODUCTION, **changes})
    assert problem.startswith(f"{named}: ")
    secrets = [value for name, value in {**PRODUCTION, **changes}.items() if name in SECRETS]
    assert not any(secret and secret in problem for secret in secrets)


def test_the_example_is_refused_unchanged_with_all_of_its_placeholders_at_once() -> None:
    text = (REPOSITORY / ".env.prod.example").read_text(encoding="utf-8")
    placeholders = {line.partition("=")[0] for line in text.splitlines() if "CHANGE-ME" in line}
    placeholders = {name for name in placeholders if not name.startswith("#")}
    assert placeholders == {
        "DB_PASSWORD", "DB_READER_PASSWORD", "DB_ADMIN_PASSWORD", "API_USERS", "GRAFANA_ADMIN_PASSWORD",
    }  # fmt: skip
    problems = problems_of(read_dotenv(REPOSITORY / ".env.prod.example"))
    assert {problem.partition(":")[0] for problem in problems} == placeholders
    assert len(problems) == len(placeholders)


def test_the_example_holds_nothing_but_settings_and_grafana_s_password() -> None:
    text = (REPOSITORY / ".env.prod.example").read_text(encoding="utf-8")
    named = {line.removeprefix("# ").partition("=")[0] for line in text.splitlines() if "=" in line}
    assert named - set(OPTIONS) == {"GRAFANA_ADMIN_PASSWORD"}


def test_production_by_its_alias_is_production_too() -> None:
    problems = problems_of({"DEPLOYMENT_ENV": "production"})
    assert {problem.partition(":")[0] for problem in problems} >= {"DB_PASSWORD", "API_USERS"}


def test_production_problems_come_together_with_the_others() -> None:
    problems = problems_of({"APP_ENV": "production", "DB_PORT": "x"})
    assert {problem.partition(":")[0] for problem in problems} == {
        "DB_PORT", "DB_PASSWORD", "DB_READER_PASSWORD", "DB_ADMIN_PASSWORD", "API_USERS",
    }  # fmt: skip
