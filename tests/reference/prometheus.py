"""Alert rules and series as a test of `promtool test rules`: what Prometheus must find if it is to agree with us."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics_service.domain.alerts import INACTIVE, Observation, Reading, Status, step
from analytics_service.domain.rules import Rule

SECONDS_TO_JUDGE = 120
STATES: dict[Status, str] = {"pending": "pending", "active": "firing"}
"""Ours, and the label `alertstate` of Prometheus' series ALERTS; an inactive alert has no series."""


@dataclass(frozen=True, slots=True)
class Case:
    """A rule and what its metric is at each step, the first at time 0."""

    rule: Rule
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What promtool said: whether everything was as expected, and its differences."""

    agrees: bool
    said: str


def statuses(rule: Rule, values: Sequence[float], interval_s: int) -> list[Status]:
    """The status after each step, as our state machine has it."""
    state, found = INACTIVE, []
    for number, value in enumerate(values):
        seen = Observation((Reading(value, rule.min_requests, 0),), None)
        state, _ = step(rule, state, seen, float(number * interval_s))
        found.append(state.status)
    return found


def judge(
    promtool: Path,
    directory: Path,
    interval_s: int,
    cases: Sequence[Case],
    expected: Sequence[Sequence[Status]],
) -> Verdict:
    """Let promtool evaluate the rules of all cases every `interval_s` seconds and compare the alerts at every step."""
    rules = {"groups": [{"name": "all", "rules": list(map(_rule, range(len(cases)), cases))}]}
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{interval_s}s",
        "tests": [
            {
                "interval": f"{interval_s}s",
                "input_series": list(map(_series, range(len(cases)), cases)),
                "promql_expr_test": list(_alerts(expected, interval_s)),
            }
        ],
    }
    # JSON is YAML.
    (directory / "rules.yml").write_text(json.dumps(rules))
    (directory / "tests.yml").write_text(json.dumps(tests))
    done = subprocess.run(
        [promtool, "test", "rules", "tests.yml"],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_JUDGE,
        check=False,
    )
    return Verdict(done.returncode == 0, done.stdout + done.stderr)


def _rule(number: int, case: Case) -> dict[str, str]:
    rule = case.rule
    return {
        "alert": f"alert{number}",
        "expr": f'reading{{case="{number}"}} {rule.operator} {rule.threshold!r}',
        "for": f"{rule.duration_seconds}s",
        "keep_firing_for": f"{rule.keep_firing_seconds}s",
    }


def _series(number: int, case: Case) -> dict[str, str]:
    return {
        "series": f'reading{{case="{number}"}}',
        "values": " ".join(repr(float(value)) for value in case.values),
    }


def _alerts(expected: Sequence[Sequence[Status]], interval_s: int) -> Iterator[dict[str, object]]:
    """For every step, all alerts that are pending or firing then, and no others."""
    for at, now in enumerate(zip(*expected, strict=True)):
        samples = [
            {
                "labels": f'ALERTS{{alertname="alert{number}",alertstate="{STATES[status]}",case="{number}"}}',
                "value": 1,
            }
            for number, status in enumerate(now)
            if status in STATES
        ]
        yield {"expr": "ALERTS", "eval_time": f"{at * interval_s}s", "exp_samples": samples}
