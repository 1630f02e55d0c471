"""Rules as files: what is taken, what is refused and how, and a trial on recorded events."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_service.domain.rule_files import RuleFileError, as_entry, rules_from
from analytics_service.domain.rules import Rule
from analytics_service.entrypoints.cli.main import run

BEGIN_S = 1_769_904_000  # a whole hour
LEAST: dict[str, Any] = {
    "rule_name": "High Error Rate",
    "metric_name": "error_rate",
    "operator": ">",
    "threshold": 5,
    "severity": "warning",
}


def test_what_is_left_out_is_as_by_default() -> None:
    (rule,) = rules_from({"rules": [LEAST]})
    assert rule == Rule(
        rule_name="High Error Rate",
        metric_name="error_rate",
        operator=">",
        threshold=5.0,
        severity="warning",
    )
    assert as_entry(rule) == LEAST


def test_every_field_goes_there_and_back() -> None:
    whole = LEAST | {
        "description": "what to do",
        "service": "api",
        "window_size": "5min",
        "resolve_threshold": 2.5,
        "duration_seconds": 0,
        "keep_firing_seconds": 300,
        "min_requests": 20,
        "no_data_policy": "keep",
        "notification_channels": ["slack", "pagerduty"],
        "enabled": False,
    }
    rules = rules_from(yaml.safe_load(yaml.safe_dump({"rules": [whole]})))
    assert as_entry(rules[0]) == whole


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"threshold": "5"}, "threshold: must be a number"),
        ({"threshold": True}, "threshold: must be a number"),
        ({"threshold": float("nan")}, "threshold: must be a number"),
        ({"threshold": 10**400}, "threshold: must be a number"),
        ({"threshold": None}, "threshold: is missing"),
        ({"operator": "=>"}, "operator: must be one of >, <, >=, <=, =="),
        ({"metric_name": "errors"}, "metric_name: must be one of total_requests, "),
        ({"severity": "bad"}, "severity: must be one of info, warning, critical"),
        ({"window_size": "2min"}, "window_size: must be one of 1min, 5min, 1hour"),
        ({"duration_seconds": -1}, "duration_seconds: must be a whole number, 0 or more"),
        ({"min_requests": 0}, "min_requests: must be a whole number, 1 or more"),
        ({"min_requests": 1.5}, "min_requests: must be a whole number, 1 or more"),
        ({"no_data_policy": "panic"}, "no_data_policy: must be one of resolve, keep, alert"),
        (
            {"notification_channels": "slack"},
            "notification_channels: must be a list of slack, email, pagerduty",
        ),
        (
            {"notification_channels": ["pager"]},
            "notification_channels: must be a list of slack, email, pagerduty",
        ),
        ({"enabled": "yes"}, "enabled: must be true or false"),
        ({"rule_name": ""}, "rule_name: must be a text of 1 to 255 characters"),
        ({"rule_name": "half \ud800"}, "rule_name: must be a text of 1 to 255 characters"),
        ({"description": "nul \0"}, "description: must be a text of at most 10,000 characters"),
        ({"description": "x" * 10_001}, "description: must be a text of at most 10,000 characters"),
        ({"service": "x" * 256}, "service: must be a text of 1 to 255 characters"),
        ({"treshold": 5}, "treshold: there is no such field"),
    ],
)
def test_each_problem_names_its_field(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(RuleFileError) as caught:
        rules_from({"rules": [LEAST | change]})
    assert any(problem in found for found in caught.value.problems)
    assert len(caught.value.problems) == 1


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(RuleFileError) as caught:
        rules_from(
            {"rules": [LEAST, LEAST, LEAST | {"rule_name": "b", "operator": "!", "severity": 1}, 7]}
        )
    assert caught.value.problems == [
        "rule 3 (b): operator: must be one of >, <, >=, <=, ==",
        "rule 3 (b): severity: must be one of info, warning, critical",
        "rule 4 (without a name): must be a mapping of fields",
        "rule_name 'High Error Rate' is there 2 times",
    ]


@pytest.mark.parametrize("document", [None, [], {}, {"rules": None}, {"rules": {}}, "rules"])
def test_what_is_no_rules_file(document: object) -> None:
    with pytest.raises(RuleFileError, match="must hold a list called `rules`"):
        rules_from(document)


def recorded(tmp_path: Path, failing_minutes: range) -> Path:
    """An hour of one event a second; in some minutes every second one is an error."""
    path = tmp_path / "events.ndjson"
    lines = [
        json.dumps(
            {
                "timestamp": BEGIN_S + second,
                "service": "api",
                "level": "error" if second // 60 in failing_minutes and second % 2 else "info",
            }
        )
        for second in range(3600)
    ]
    path.write_text("\n".join([*lines, "no event"]) + "\n")
    return path


def minute_of(transition: dict[str, Any]) -> float:
    """Minutes after the beginning at which it happened."""
    return (datetime.fromisoformat(transition["at"]).timestamp() - BEGIN_S) / 60


def test_a_trial_tells_what_would_have_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    events = recorded(tmp_path, range(20, 30))
    rules = [
        LEAST | {"duration_seconds": 120, "keep_firing_seconds": 180},
        LEAST | {"rule_name": "too patient", "duration_seconds": 900},
        LEAST | {"rule_name": "off", "enabled": False},
        LEAST
        | {
            "rule_name": "silence is an alert",
            "threshold": 100,
            "no_data_policy": "alert",
            "duration_seconds": 0,
        },
    ]
    Path("rules.yaml").write_text(yaml.safe_dump({"rules": rules}))
    assert (
        run(["rules", "test", "rules.yaml", "--events", str(events), "--output-json", "out.json"])
        == 0
    )
    report = json.loads(Path("out.json").read_text())
    assert (report["events"], report["bad_events"]) == (3600, 1)
    found = [
        (t["rule_name"], t["from_status"], t["to_status"], minute_of(t))
        for t in report["transitions"]
    ]
    # Minute 20 is over at 21; two minutes later it fires. Minute 30 is over at 31; three minutes later it is over.
    # The last minute can be seen until 61; five minutes later its absence counts.
    assert found == [
        ("High Error Rate", "inactive", "pending", 21.0),
        ("High Error Rate", "pending", "active", 23.0),
        ("High Error Rate", "active", "resolved", 34.0),
        ("silence is an alert", "inactive", "active", 66.0),
    ]
    assert "3600 events, 2 alerts would have fired; 1 bad events" in capsys.readouterr().out


def test_files_that_cannot_be_read_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    events = recorded(tmp_path, range(0))
    for text, words in (
        (b"rules: [", "is not YAML"),
        (b"\xff", "is not"),
        (b"rules: [{rule_name: a}]", "rule 1 (a): metric_name: is missing"),
    ):
        Path("rules.yaml").write_bytes(text)
        assert run(["rules", "test", "rules.yaml", "--events", str(events)]) == 2
        assert words in capsys.readouterr().err
