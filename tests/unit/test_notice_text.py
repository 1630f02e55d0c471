"""The words of a message: numbers, times, names, and the first line."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain import notice_text
from analytics_service.domain.notices import Figures, Notice, Trend
from analytics_service.domain.wording import (
    clean,
    compared,
    duration,
    moment,
    name,
    number,
    quantity,
)
from tests.unit.notice_examples import (
    DASHBOARD,
    FIRED_S,
    HOSTILE,
    LINE,
    NOW_S,
    OVER,
    digest,
    line,
    notice,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (20.0, "20"),
        (31.234, "31.2"),
        (-31.234, "-31.2"),
        (99.96, "100"),
        (1234.56, "1,235"),
        (1_234_567.0, "1,234,567"),
        (0.04512, "0.0451"),
        (0.5, "0.5"),
        (1.0001, "1"),
        # what would need more zeros than anyone counts
        (0.00000012, "1.2e-07"),
        (1.5e18, "1.5e+18"),
        (float("nan"), "not a number"),
        (float("inf"), "infinite"),
        (float("-inf"), "-infinite"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("error_rate", 31.234, "31.2 %"),
        ("latency_p99_ms", 2300.4, "2,300 ms"),
        ("latency_count", 7.0, "7"),
        ("total_requests", 12.0, "12"),
        ("avg_risk_score", 0.85, "0.85"),
        ("error_rate", None, "no data"),
    ],
)
def test_quantity_has_its_unit(metric: str, value: float | None, text: str) -> None:
    assert quantity(metric, value) == text


@pytest.mark.parametrize(
    ("value", "operator", "threshold", "text"),
    [
        (31.234, ">", 20.0, "31.2 % > 20 %"),
        # a difference that three digits hide is shown; none is invented
        (20.004, ">", 20.0, "20.004 % > 20 %"),
        (20.0000004, ">", 20.0, "20.0000004 % > 20 %"),
        (20.0, ">=", 20.0, "20 % >= 20 %"),
        (31.234, None, 20.0, "31.2 %, threshold 20 %"),
    ],
)
def test_compared(value: float, operator: str | None, threshold: float, text: str) -> None:
    assert compared("error_rate", value, operator, threshold) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60.0, "1 min"),
        (3599.0, "59 min"),
        (3600.0, "1 h"),
        (3900.0, "1 h 5 min"),
        (86_399.0, "23 h 59 min"),
        (86_400.0, "1 d"),
        (3 * 86_400.0 + 4 * 3600 + 59, "3 d 4 h"),
        (float("nan"), "an unknown time"),
        (float("inf"), "an unknown time"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [
        (0.0, "1970-01-01 00:00:00 UTC"),
        (NOW_S + 0.999, "2026-01-31 03:00:00 UTC"),
        (float("nan"), "at an unknown time"),
        (1e20, "at an unknown time"),
    ],
)
def test_moment(epoch_s: float, text: str) -> None:
    assert moment(epoch_s) == text


@pytest.mark.parametrize(
    ("text", "most", "seen"),
    [
        ("payment-service", 20, "payment-service"),
        ("a\r\nb\tc\0d", 20, "a b c d"),
        ("line\u2028break\u2029s", 20, "line break s"),
        ("\u202egnp\u202c\u200b.exe\ufeff", 20, "gnp.exe"),
        ("half a pair \ud83d", 20, "half a pair"),
        ("abcdef", 5, "abcd…"),
        ("abcde", 5, "abcde"),
        ("  \n ", 5, ""),
    ],
)
def test_clean(text: str, most: int, seen: str) -> None:
    assert clean(text, most) == seen


def test_a_name_of_which_nothing_is_seen_is_told_as_such() -> None:
    assert name("\u200b \n") == "(no name)"


@given(st.text(st.characters(exclude_categories=()), max_size=400), st.integers(1, 300))
def test_clean_text_is_one_visible_line_within_its_limit(text: str, most: int) -> None:
    seen = clean(text, most)
    assert len(seen) <= most
    assert not {unicodedata.category(c) for c in seen} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert seen.splitlines() in ([], [seen])


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, "[CRITICAL] payment-service: error_rate 31.2 % > 20 %, for 2 min"),
        ({"severity": "info"}, "[INFO] payment-service: error_rate 31.2 % > 20 %, for 2 min"),
        # fired just now, or nobody knows when: nothing is said of how long
        ({"active_since_s": NOW_S - 4}, "[CRITICAL] payment-service: error_rate 31.2 % > 20 %"),
        ({"active_since_s": 0.0}, "[CRITICAL] payment-service: error_rate 31.2 % > 20 %"),
        # no data; the rule is gone
        (
            {"value": None},
            "[CRITICAL] payment-service: no data for error_rate (rule: > 20 %), for 2 min",
        ),
        (
            {"operator": None},
            "[CRITICAL] payment-service: error_rate 31.2 %, threshold 20 %, for 2 min",
        ),
        (
            {"kind": "repeat", "active_since_s": NOW_S - 14_520},
            "[CRITICAL] payment-service still firing: error_rate 31.2 % > 20 %, for 4 h 2 min",
        ),
        (
            {"kind": "resolved", **OVER},
            "[RESOLVED] payment-service: error_rate > 20 % is over after 1 min",
        ),
        (
            {"kind": "resolved", "operator": None, **OVER},
            "[RESOLVED] payment-service: error_rate threshold 20 % is over after 1 min",
        ),
        (
            {"kind": "passed", **OVER},
            "[RESOLVED] payment-service: error_rate > 20 % fired and is over already after 1 min",
        ),
        (
            {"metric_name": "latency_p99_ms", "threshold": 500.0, "value": 2300.4},
            "[CRITICAL] payment-service: latency_p99_ms 2,300 ms > 500 ms, for 2 min",
        ),
        ({"service": "a\r\nb"}, "[CRITICAL] a b: error_rate 31.2 % > 20 %, for 2 min"),
    ],
)
def test_first_line_of_one_alert(changes: dict[str, Any], first: str) -> None:
    assert notice_text.first_line(notice(line(**changes))) == first


def test_first_line_of_several_is_the_worst_and_what_else_there_is() -> None:
    others = [line(severity="warning"), line(kind="resolved", **OVER), line(kind="passed", **OVER)]
    assert notice_text.first_line(notice(LINE, *others)) == (
        "[CRITICAL] payment-service: error_rate 31.2 % > 20 %, for 2 min (+ 1 more firing, 2 more over)"
    )


@pytest.mark.parametrize(
    ("about", "first"),
    [
        (
            digest(),
            "[CRITICAL] 37 alerts in 14 services, the worst: svc-0: error_rate 31.2 % > 20 %, for 2 min",
        ),
        (digest(kind="resolved", **OVER), "[RESOLVED] 37 alerts in 14 services: all over"),
        (
            digest(1, 1, 1),
            "[CRITICAL] 1 alert in 1 service, the worst: svc-0: error_rate 31.2 % > 20 %, for 2 min",
        ),
        (Notice(message_id="m", at_s=NOW_S, lines=()), "[INFO] nothing to report"),
    ],
)
def test_first_line_of_a_digest(about: Notice, first: str) -> None:
    assert notice_text.first_line(about) == first


def test_facts_of_a_firing_alert() -> None:
    assert notice_text.facts(line(actor="ada", comment="on it\nnow"), NOW_S) == [
        ("Rule", "high_error_rate"),
        ("Description", "Too many payments fail"),
        ("Severity", "critical"),
        ("Value", "error_rate 31.2 % > 20 %, 1min windows"),
        ("Since", "2026-01-31 02:58:00 UTC (2 min)"),
        ("Acknowledged by", "ada"),
        ("Comment", "on it now"),
    ]


def test_facts_of_what_is_over() -> None:
    over = line(kind="resolved", actor="ada", description=None, **OVER)
    assert notice_text.facts(over, NOW_S) == [
        ("Rule", "high_error_rate"),
        ("Severity", "critical"),
        ("Value", "last error_rate: 3.1 %; rule: > 20 %, 1min windows"),
        ("Lasted", "2026-01-31 02:58:00 UTC to 2026-01-31 02:59:00 UTC (1 min)"),
        ("Resolved by", "ada"),
    ]


def test_facts_without_data_and_without_a_beginning() -> None:
    found = dict(notice_text.facts(line(value=None, active_since_s=0.0), NOW_S))
    assert found["Value"] == "error_rate: no data; rule: > 20 %, 1min windows"
    assert "Since" not in found


def test_an_end_that_nobody_knows_is_now() -> None:
    found = dict(notice_text.facts(line(kind="passed", active_since_s=FIRED_S), NOW_S))
    assert found["Lasted"] == "2026-01-31 02:58:00 UTC to 2026-01-31 03:00:00 UTC (2 min)"


def test_changes_say_where_there_were_no_data() -> None:
    trend = Trend(Figures(0.4, None, 50.04), Figures(31.234, 2300.4, None))
    assert notice_text.changes(trend) == [
        ("error rate", "0.4 % → 31.2 %"),
        ("p99", "no data → 2,300 ms"),
        ("requests/s", "50 → no data"),
    ]


@pytest.mark.parametrize(
    ("about", "more"),
    [(notice(), 0), (notice(*[LINE] * 13), 3), (digest(), 27), (digest(3, 3, 3), 0)],
)
def test_how_many_are_not_shown(about: Notice, more: int) -> None:
    assert notice_text.not_shown(about) == more


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("payment-service", "payment-service"),
        ("a/b?c#d", "a%2Fb%3Fc%23d"),
        ("<img>|\r\n", "%3Cimg%3E%7C%0D%0A"),
        ("ü", "%C3%BC"),
        ("\ud83d", "%3F"),
    ],
)
def test_links(service: str, path: str) -> None:
    link = notice_text.service_link(DASHBOARD, service)
    assert link == f"https://lens.example/#/services/{path}"
    assert notice_text.service_link("", service) is None


def test_links_to_alerts() -> None:
    assert notice_text.alert_link(DASHBOARD, 12) == "https://lens.example/#/alerts/12"
    assert notice_text.alerts_link(DASHBOARD) == "https://lens.example/#/alerts"
    assert (notice_text.alert_link("", 12), notice_text.alerts_link("")) == (None, None)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_first_line_is_one_line_whatever_the_names(text: str) -> None:
    first = notice_text.first_line(notice(line(service=text, metric_name=text, severity=text)))
    assert len(first) < 300
    assert first.splitlines() == [first]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the backup failed", "the backup failed"),
        ("two\r\nlines: \u202eback", "two lines: back"),
        ("", "(no name)"),
        ("x" * 2000, "x" * 999 + "…"),
    ],
)
def test_own_words_are_told_instead_of_metric_and_value(text: str, said: str) -> None:
    words = line(text=text, service="host-1", severity="warning")
    assert notice_text.first_line(notice(words)) == f"[WARNING] {said}"
    assert notice_text.facts(words, NOW_S) == [("Severity", "warning"), ("From", "host-1")]
