"""`stacklens silences`, `alerts show`, and the audit trail that commands leave."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics_service.adapters.timescale.silences import silences_for
from analytics_service.domain.silences import Silence
from analytics_service.entrypoints.cli.main import run
from tests.alert_rows import BEGIN_S, add_deliveries, fire, resolve, rule
from tests.databases import Database

TRAIL = "SELECT actor, action, subject, subject_id, comment, detail FROM audit_trail ORDER BY id"
RULE = "{rule_name: errors, metric_name: error_rate, operator: '>', threshold: %s, severity: info}"

Reports = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def where(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' environment, away from any .env file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "zoe")
    for name, value in database.env.items():
        monkeypatch.setenv(name, value)


def report_of(*arguments: str) -> dict[str, Any]:
    """Run a command that succeeds; its report."""
    assert run([*arguments, "--output-json", "report.json"]) == 0
    report: dict[str, Any] = json.loads(Path("report.json").read_text())
    return report


def listed(state: str = "current") -> list[tuple[int, str]]:
    report = report_of("silences", "list", "--state", state)
    assert report["count"] == len(report["silences"])
    assert report["state"] == state
    return [(silence["id"], silence["state"]) for silence in report["silences"]]


def add(*options: str) -> dict[str, Any]:
    return report_of("silences", "add", *options)


def test_a_silence_from_beginning_to_end(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    made = add("--service", "pay*", "--severity", "warning", "--for", "2h", "--comment", "moving")
    assert (made["id"], made["state"], made["author"], made["comment"]) == (
        1,
        "active",
        "zoe",
        "moving",
    )
    assert made["matcher"] == {"service": "pay*", "severity": "warning"}
    begins, ends = (datetime.fromisoformat(made[name]) for name in ("from", "until"))
    # From now on is from the beginning of the transaction, a moment before the clock was asked.
    assert timedelta(hours=2) <= ends - begins < timedelta(hours=2, minutes=1)
    assert listed() == [(1, "active")]
    out = capsys.readouterr().out
    assert "silence 1 is active, until " in out
    assert "service=pay* severity=warning" in out

    ended = report_of("silences", "end", "1", "--by", "bert", "--comment", "done")
    assert ended["state"] == "expired"
    assert ended["comment"] == "moving"
    assert listed() == []
    assert listed("expired") == listed("all") == [(1, "expired")]
    assert run(["silences", "end", "1"]) == 1
    assert "silence 1 is over since" in capsys.readouterr().err

    created, removed = database.rows(TRAIL)
    assert created[:5] == ("zoe", "create", "silence", "1", "moving")
    assert set(created[5]) == {"after"}
    assert created[5]["after"]["matcher"] == {"service": "pay*", "severity": "warning"}
    assert removed[:5] == ("bert", "remove", "silence", "1", "done")
    assert removed[5]["before"]["until"] == made["until"]
    assert removed[5]["after"]["until"] == ended["until"]


def test_one_that_has_not_begun_never_will() -> None:
    made = add("--rule", "*", "--from", "+1h", "--for", "30m", "--by", "bert", "--comment", "later")
    assert (made["state"], made["author"]) == ("pending", "bert")
    begins, ends = (datetime.fromisoformat(made[name]) for name in ("from", "until"))
    assert ends - begins == timedelta(minutes=30)
    ended = report_of("silences", "end", "1")
    assert ended["state"] == "expired"
    assert ended["from"] == ended["until"] < made["from"]


def test_one_that_should_have_begun_begins_now(database: Database) -> None:
    add("--metric", "error_rate", "--from", "-1d", "--until", "+1h", "--comment", "x")
    assert database.rows("SELECT starts_at > now() - interval '1 hour' FROM alert_silences") == [
        (True,)
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--for", "2h"], "At least one of --service, --rule, --severity and --metric"),
        (["--service", "x"], "Either --for or --until"),
        (["--service", "x", "--for", "2h", "--until", "+2h"], "Either --for or --until"),
        (["--service", "x", "--for", "2"], "--for: '2' must be a duration such as 30m, 2h or 1d"),
        (["--service", "x", "--for", "999999999d"], "--for: '999999999d' is too long"),
        (["--service", "x", "--until", "soon"], "--until: 'soon' must be ISO 8601"),
        (["--service", "x", "--until", "-1h"], "--until: must be in the future"),
        (["--service", "x", "--from", "+2h", "--until", "+1h"], "--until: must be after --from"),
        (
            ["--service", "x" * 256, "--for", "2h"],
            "--service: must be a text of 1 to 255 characters",
        ),
        (["--rule", "\udcff", "--for", "2h"], "--rule: must be a text of 1 to 255 characters"),
        (["--service", "x", "--for", "2h", "--by", ""], "must have 1 to 255 characters"),
        (["--severity", "bad", "--for", "2h"], "'bad' is not one of 'info', 'warning', 'critical'"),
        (["--metric", "bad", "--for", "2h"], "'bad' is not one of"),
    ],
)
def test_what_is_refused(
    database: Database, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert run(["silences", "add", "--comment", "x", *options]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert database.rows("SELECT count(*) FROM alert_silences") == [(0,)]


def test_without_a_comment_there_is_no_silence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["silences", "add", "--service", "x", "--for", "2h"]) == 2
    assert "--comment" in capsys.readouterr().err
    assert run(["silences", "end", "4711"]) == 1
    assert "there is no silence 4711" in capsys.readouterr().err


def test_what_colours_a_terminal_is_shown_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    add("--service", "\x1b[31mred", "--for", "1h", "--comment", "two\nlines")
    assert listed() == [(1, "active")]
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "service=\\x1b[31mred" in out
    assert "two\\nlines" in out


def test_what_the_notifier_reads(database: Database) -> None:
    """In force, to come, or over for less than a day; times in epoch seconds."""
    database.execute(
        """
        INSERT INTO alert_silences (rule_name, service, starts_at, ends_at, author, comment) VALUES
        ('long over', NULL, now() - interval '2 days', now() - interval '25 hours', 'zoe', 'x'),
        ('just over', NULL, now() - interval '2 days', now() - interval '23 hours', 'zoe', 'x'),
        ('in force', 'pay*', '2026-02-01T00:00:00Z', '2126-02-01T00:00:00.5Z', 'zoe', 'x'),
        ('to come', NULL, '2126-02-01T00:00:00Z', '2126-02-02T00:00:00Z', 'zoe', 'x')
        """
    )
    with contextlib.closing(database.connect()) as conn, conn.cursor() as cur:
        found = silences_for(cur)
    assert [silence.rule_name for silence in found] == ["just over", "in force", "to come"]
    assert found[1] == Silence(
        id=3, starts_s=1769904000.0, ends_s=4925577600.5, rule_name="in force", service="pay*"
    )


def test_an_alert_with_its_history_and_what_was_told(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    about = rule(duration_seconds=0)
    alert_id = fire(database, about, "api\x1b[2J")
    assert run(["alerts", "ack", str(alert_id), "--by", "anna", "--comment", "mine"]) == 0
    resolve(database, about, "api\x1b[2J", BEGIN_S + 600)
    add_deliveries(
        database,
        alert_id,
        {
            "channel": "slack",
            "kind": "firing",
            "status": "sent",
            "attempts": 2,
            "finished_at": "2026-02-01T00:00:05Z",
        },
        {"channel": "email", "kind": "firing", "status": "withheld", "reason": "silenced"},
    )
    report = report_of("alerts", "show", str(alert_id))
    assert (report["alert"]["status"], report["alert"]["service"]) == ("resolved", "api\x1b[2J")
    steps = [
        (step["sequence"], step["to_status"], step["actor"], step["comment"])
        for step in report["history"]
    ]
    assert steps == [
        (1, "active", None, None),
        (2, "acknowledged", "anna", "mine"),
        (3, "resolved", None, None),
    ]
    told = [
        (each["channel"], each["status"], each["reason"], each["attempts"])
        for each in report["deliveries"]
    ]
    assert sorted(told) == [("email", "withheld", "silenced", 0), ("slack", "sent", None, 2)]
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "2026-02-01T00:00:05+00:00" in out
    assert run(["alerts", "show", "4711"]) == 1
    assert "there is no alert 4711" in capsys.readouterr().err


def test_applied_rules_leave_a_trail(database: Database) -> None:
    def apply(rules: str, *options: str) -> None:
        Path("rules.yaml").write_text(f"rules: [{rules}]")
        assert run(["rules", "apply", "rules.yaml", *options]) == 0

    apply(RULE % 5, "--dry-run")
    assert database.rows(TRAIL) == []
    apply(RULE % 5, "--by", "anna", "--comment", "as reviewed")
    apply(RULE % 5)  # nothing changes: no entry
    apply(RULE % 7)
    apply("", "--prune")
    found = database.rows(TRAIL)
    assert [row[:5] for row in found] == [
        ("anna", "create", "rule", "errors", "as reviewed"),
        ("zoe", "change", "rule", "errors", None),
        ("zoe", "remove", "rule", "errors", None),
    ]
    created, changed, removed = (row[5] for row in found)
    assert (set(created), set(changed), set(removed)) == (
        {"after"},
        {"before", "after"},
        {"before"},
    )
    assert created["after"]["threshold"] == changed["before"]["threshold"] == 5.0
    assert changed["after"]["threshold"] == removed["before"]["threshold"] == 7.0
    assert created["after"]["notification_channels"] == []
