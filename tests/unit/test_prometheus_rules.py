"""Alerts about the platform: complete, about metrics that exist, each with its section of the runbook and its tests."""

from __future__ import annotations

import re
from typing import Any

import pytest

from analytics_service.entrypoints.cli.main import COMMANDS
from tests.exported_metrics import asked_for, exported
from tests.prometheus_rules import DIRECTORY, ROOT, TEST_FILES, alerts, load, records, rules

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
ALERTS = alerts()
PROMETHEUS_OWN = {"prometheus_notifications_alertmanagers_discovered"}
JOBS = {"analytics-service": 8004, "alert-notifier": 8006, "dashboard-api": 9105}


def section(title: str) -> str:
    """The text below a heading of the runbook; empty when there is none."""
    found = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##|\Z)", RUNBOOK, re.M | re.S)
    return found[1] if found else ""


def firing_tests(alert: str) -> list[list[Any]]:
    """What promtool has to find for each expression about this alert, in all test files."""
    return [
        test["exp_samples"]
        for path in TEST_FILES
        for group in load(path)["tests"]
        for test in group.get("promql_expr_test", [])
        if f'alertname="{alert}"' in test["expr"]
    ]


def test_names_are_unique() -> None:
    named = [rule["alert"] for rule in rules() if "alert" in rule]
    assert len(named) == len(set(named)) > 30


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_and_where_to_look(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_its_section_of_the_runbook(name: str) -> None:
    text = section(name)
    assert "First look:" in text
    assert "```bash" in text
    assert "| cause or sign | cure |" in text


def test_the_runbook_has_no_section_about_an_alert_that_is_gone() -> None:
    assert set(re.findall(r"^### (\w+)$", RUNBOOK, re.M)) == set(ALERTS)
    assert set(re.findall(r"\]\(#(\w+)\)", RUNBOOK)) <= {name.lower() for name in ALERTS}


def test_commands_of_the_runbook_exist() -> None:
    named = set(re.findall(r"\bstacklens ([a-z][a-z-]+)\b", RUNBOOK))
    assert named <= set(COMMANDS), "a command that is not there"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_metrics_that_rules_name_are_exported(rule: dict[str, Any]) -> None:
    expression = rule["expr"]
    assert asked_for(expression) <= exported()
    assert set(re.findall(r"stacklens:[\w:]+", expression)) <= set(records())
    others = set(re.findall(r"\bprometheus_\w+", expression))
    assert others <= PROMETHEUS_OWN
    assert set(re.findall(r'job="([^"]+)"', expression)) <= set(JOBS)
    assert "avg" not in expression


def test_every_alert_is_about_something() -> None:
    for name, rule in ALERTS.items():
        about = asked_for(rule["expr"]) | set(
            re.findall(r"stacklens:|\bup\{|prometheus_", rule["expr"])
        )
        assert about, name


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_tested_firing_and_quiet(name: str) -> None:
    expected = firing_tests(name)
    assert [] in expected, "no test in which it is quiet"
    assert any(expected), "no test in which it fires"


def test_the_limit_of_connections_is_the_one_that_is_configured() -> None:
    example = (ROOT / ".env.prod.example").read_text(encoding="utf-8")
    found = re.search(r"^DB_POOL_MAX=(\d+)$", example, re.M)
    assert found is not None
    assert records()["stacklens:db_pool_limit"] == f"vector({found[1]})"


def test_processes_are_scraped_where_they_listen() -> None:
    jobs = {each["job_name"]: each for each in load(DIRECTORY / "prometheus.yml")["scrape_configs"]}
    assert set(jobs) == {*JOBS, "prometheus"}
    for name, port in JOBS.items():
        (found,) = jobs[name]["dns_sd_configs"]
        assert (found["names"], found["type"], found["port"]) == ([name], "A", port)


def test_alertmanager_s_rules_name_alerts_that_exist() -> None:
    config = load(ROOT / "alertmanager" / "alertmanager.yml")
    text = str(config["inhibit_rules"])
    assert set(re.findall(r"StackLens\w+", text)) <= set(ALERTS)
    receivers = {each["name"] for each in config["receivers"]}
    routes = [config["route"], *config["route"]["routes"]]
    assert {each["receiver"] for each in routes} <= receivers
