"""`/alerts`: pages of them, one of them, and people's hands on them; on a real database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from analytics_service.adapters.timescale.alert_store import read_states, store
from analytics_service.domain.alerts import close
from analytics_service.domain.evaluation import Change
from tests.alert_rows import (
    BEGIN_S,
    add_deliveries,
    add_rule,
    evaluator_resolves,
    fire,
    moment,
    resolve,
    rule,
)
from tests.api_writes import READER, Sender, patient_locks, writing_app
from tests.databases import Database
from tests.waiting import wait_until

ALERT = {
    "id", "rule_name", "service", "severity", "metric_name", "window_size", "status", "threshold", "value",
    "window_start", "fingerprint", "episode_id", "pending_since", "active_since",
    "acknowledged_at", "acknowledged_by", "resolved_at",
}  # fmt: skip
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "'; DROP TABLE analytics_alerts; --",
    '"quoted"',
    "=cmd|' /C calc'!A0",
    "x" * 255,
    "a/b",
    "100%",
    "%s %(id)s {more}",
    "line\nbreak",
    "ü☃",
]
WAITS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = %s AND wait_event_type = 'Lock' AND application_name LIKE %s
"""


@pytest.fixture
def app(database: Database) -> Iterator[Flask]:
    with patient_locks(), writing_app(database) as app:
        yield app


@pytest.fixture
def api(app: Flask) -> Sender:
    return Sender(app.test_client())


def ids(page: dict[str, Any]) -> list[int]:
    assert set(page) == {"alerts", "count", "status", "next_cursor"}
    assert page["count"] == len(page["alerts"])
    return [alert["id"] for alert in page["alerts"]]


def test_an_alert_as_it_is_answered(api: Sender, database: Database) -> None:
    alert_id = fire(database, rule(), "api", BEGIN_S)
    (found,) = api.get("/alerts", status="active")["alerts"]
    assert set(found) == ALERT
    assert found["id"] == alert_id
    assert (found["rule_name"], found["service"], found["severity"]) == (
        "errors",
        "api",
        "critical",
    )
    assert (found["metric_name"], found["window_size"], found["status"]) == (
        "error_rate",
        "1min",
        "active",
    )
    assert (found["threshold"], found["value"]) == (5.0, 50.0)
    assert found["pending_since"] == found["active_since"] == "2026-02-01T00:00:00Z"
    assert found["acknowledged_at"] is found["acknowledged_by"] is found["resolved_at"] is None


def test_states_severities_and_services(api: Sender, database: Database) -> None:
    active = fire(database, rule(), "a", BEGIN_S + 1)
    acked = fire(database, rule(severity="warning"), "b", BEGIN_S + 2)
    api.send("POST", f"/alerts/{acked}/acknowledge")
    over = fire(database, rule(severity="info"), "c", BEGIN_S + 3)
    resolve(database, rule(severity="info"), "c", BEGIN_S + 4)
    pending = fire(database, rule(duration_seconds=60), "d,e", BEGIN_S)

    assert ids(api.get("/alerts")) == [pending, acked, active]  # open ones by default
    for status, expected in {
        "open": [pending, acked, active],
        "all": [pending, over, acked, active],
        "active": [active],
        "acknowledged": [acked],
        "resolved": [over],
        "pending": [pending],
    }.items():
        page = api.get("/alerts", status=status)
        assert ids(page) == expected
        assert page["status"] == status
    assert ids(api.get("/alerts", status="all", severity="info,warning")) == [over, acked]
    assert ids(api.get("/alerts", status="all", severity=["info", "critical"])) == [
        pending,
        over,
        active,
    ]
    assert ids(api.get("/alerts", status="all", service="a,c")) == [over, active]
    assert ids(api.get("/alerts", service=["a", "d,e"])) == [pending, active]
    assert ids(api.get("/alerts", service="nobody")) == []
    csv = api.answer("GET", "/alerts", status="active", format="csv")
    assert csv.get_data(as_text=True).splitlines()[1].startswith(f"{active},errors,a,critical,")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"status": "closed"}, "status"),
        ({"status": ["active", "open"]}, "status"),
        ({"severity": "bad"}, "severity"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "W251bGwsMF0"}, "cursor"),  # [null,0]
        ({"cursor": "WzkyMjMzNzIwMzY4NTQ3NzU4MDcsMV0"}, "cursor"),  # [9223372036854775807,1]
        ({"service": ""}, "service"),
        ({"since": "now"}, "since"),
    ],
)
def test_what_cannot_be_asked_for(api: Sender, query: dict[str, Any], name: str) -> None:
    assert list(api.problems("GET", "/alerts", None, **query)) == [name]


def test_pages_meet_without_gap_or_overlap(api: Sender, database: Database) -> None:
    """Pending ones first, then by when they fired; those of one moment by number."""
    pending = [fire(database, rule(duration_seconds=60), f"p{n}", BEGIN_S + n) for n in (0, 2, 1)]
    fired = {
        at: [fire(database, rule(), f"{at}-{n}", BEGIN_S + at) for n in range(2)]
        for at in (5, 9, 7)
    }
    expected = [
        *reversed(pending), *reversed(fired[9]), *reversed(fired[7]), *reversed(fired[5]),
    ]  # fmt: skip
    assert ids(api.get("/alerts", limit=9)) == expected
    assert api.get("/alerts", limit=9)["next_cursor"] is None
    for limit in (1, 2, 4, 8):
        found: list[int] = []
        query: dict[str, Any] = {}
        for first in range(0, len(expected), limit):
            page = api.get("/alerts", limit=limit, **query)
            found += ids(page)
            assert (page["next_cursor"] is None) == (first + limit >= len(expected))
            query = {"cursor": page["next_cursor"]}
        assert found == expected


def test_one_alert_with_what_was_told_and_its_rule(api: Sender, database: Database) -> None:
    about = rule()
    add_rule(database, about)
    alert_id = fire(database, about)
    add_deliveries(
        database,
        alert_id,
        {"channel": "slack", "kind": "firing", "status": "sent", "attempts": 3, "last_error": "503",
         "created_at": "2026-02-01T00:00:01Z", "finished_at": "2026-02-01T00:00:05Z"},
        {"channel": "email", "kind": "firing", "status": "withheld", "reason": "muted",
         "created_at": "2026-02-01T00:00:02Z"},
    )  # fmt: skip
    found = api.get(f"/alerts/{alert_id}")
    assert set(found) == ALERT | {"deliveries", "rule"}
    assert found["deliveries"] == [
        {"channel": "slack", "kind": "firing", "repetition": 0, "status": "sent", "reason": None, "attempts": 3,
         "next_try_at": None, "last_error": "503", "created_at": "2026-02-01T00:00:01Z",
         "finished_at": "2026-02-01T00:00:05Z"},
        {"channel": "email", "kind": "firing", "repetition": 0, "status": "withheld", "reason": "muted", "attempts": 0,
         "next_try_at": None, "last_error": None, "created_at": "2026-02-01T00:00:02Z", "finished_at": None},
    ]  # fmt: skip
    assert (found["rule"]["rule_name"], found["rule"]["threshold"]) == ("errors", 5.0)
    database.execute("DELETE FROM analytics_alert_rules")
    assert api.get(f"/alerts/{alert_id}")["rule"] is None


def test_acknowledging_and_resolving(api: Sender, database: Database) -> None:
    alert_id = fire(database, rule())
    acked = api.send("POST", f"/alerts/{alert_id}/acknowledge", {"comment": "mine"})
    assert set(acked) == ALERT
    assert (acked["status"], acked["acknowledged_by"]) == ("acknowledged", "ada")
    assert acked["acknowledged_at"] > "2026-02-01"
    resolved = Sender(api.client, ("bo", "b")).send("POST", f"/v1/alerts/{alert_id}/resolve")
    assert (resolved["status"], resolved["acknowledged_by"]) == ("resolved", "ada")
    assert resolved["resolved_at"] > acked["acknowledged_at"]

    body = api.get(f"/alerts/{alert_id}/history")
    assert (set(body), body["alert_id"], body["count"]) == (
        {"alert_id", "history", "count"},
        alert_id,
        3,
    )
    assert body["history"][0]["at"] == moment(BEGIN_S) == "2026-02-01T00:00:00Z"
    assert [
        (step["sequence"], step["from_status"], step["to_status"], step["actor"], step["comment"])
        for step in body["history"]
    ] == [
        (1, "inactive", "active", None, None),
        (2, "active", "acknowledged", "ada", "mine"),
        (3, "acknowledged", "resolved", "bo", None),
    ]
    # Each is told to the notifier, too.
    told = database.rows(
        "SELECT message ->> 'to_status', message ->> 'actor' FROM alert_outbox ORDER BY id"
    )
    assert told == [("active", None), ("acknowledged", "ada"), ("resolved", "bo")]


def test_what_its_state_does_not_allow(api: Sender, database: Database) -> None:
    pending = fire(database, rule(duration_seconds=60), "p")
    acked = fire(database, rule(), "a")
    api.send("POST", f"/alerts/{acked}/acknowledge")
    over = fire(database, rule(), "r")
    resolve(database, rule(), "r", BEGIN_S + 1)
    for alert_id, action, detail in (
        (pending, "acknowledge", "is pending: nothing to acknowledge."),
        (pending, "resolve", "is pending: nothing to resolve."),
        (acked, "acknowledge", "is acknowledged: nothing to acknowledge."),
        (over, "acknowledge", "is resolved: nothing to acknowledge."),
        (over, "resolve", "is resolved: nothing to resolve."),
    ):
        body = api.send("POST", f"/alerts/{alert_id}/{action}", expect=409)
        assert body["detail"] == f"Alert {alert_id} {detail}"
    assert database.rows("SELECT count(*) FROM analytics_alert_history") == [(4,)]


@pytest.mark.parametrize(
    "path", ["/alerts/4711", "/alerts/4711/history", "/alerts/9223372036854775807"]
)
def test_unknown_alerts(api: Sender, path: str) -> None:
    assert "no alert" in api.get(path, 404)["detail"]


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "1e3", "x", "٣", "1/x"])
def test_what_is_no_number_of_an_alert(api: Sender, number: str) -> None:
    api.get(f"/alerts/{number}", 404)
    api.send("POST", f"/alerts/{number}/acknowledge", expect=404)
    assert "no alert 4711" in api.send("POST", "/alerts/4711/resolve", expect=404)["detail"]


def test_readers_look_and_touch_nothing(app: Flask, database: Database) -> None:
    alert_id = fire(database, rule())
    reader = Sender(app.test_client(), READER)
    reader.get(f"/alerts/{alert_id}")
    for action in ("acknowledge", "resolve"):
        reader.send("POST", f"/alerts/{alert_id}/{action}", expect=403)
        Sender(app.test_client(), ("rita", "x")).send(
            "POST", f"/alerts/{alert_id}/{action}", expect=401
        )
    assert database.rows("SELECT status FROM analytics_alerts") == [("active",)]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_data(api: Sender, database: Database, name: str) -> None:
    alert_id = fire(database, rule(name), name)
    for path in (f"/alerts/{alert_id}", "/alerts"):
        answer = api.answer("GET", path)
        assert answer.content_type == "application/json"
        body = answer.get_json()
        found = body if path != "/alerts" else body["alerts"][0]
        assert (found["rule_name"], found["service"]) == (name, name)
    assert ids(api.get("/alerts", service=name)) == [alert_id]
    acked = api.send("POST", f"/alerts/{alert_id}/acknowledge", {"comment": name})
    assert acked["service"] == name
    assert api.get(f"/alerts/{alert_id}/history")["history"][-1]["comment"] == name
    if name.startswith("="):
        csv = api.answer("GET", "/alerts", format="csv").get_data(as_text=True)
        assert ",'=cmd" in csv  # no formula in a spreadsheet


def test_of_two_people_who_acknowledge_at_once_one_does(app: Flask, database: Database) -> None:
    """Both have read that it is active before either writes: a lock on its row holds both up."""
    alert_id = fire(database, rule())

    def acknowledge(auth: tuple[str, str]) -> tuple[int, str]:
        answer = Sender(app.test_client(), auth).answer("POST", f"/alerts/{alert_id}/acknowledge")
        return answer.status_code, auth[0]

    with contextlib.closing(database.connect()) as holder, holder.cursor() as cursor:
        holder.autocommit = False
        cursor.execute("SELECT FROM analytics_alerts WHERE id = %s FOR UPDATE", (alert_id,))
        with ThreadPoolExecutor(2) as people:
            asked = [people.submit(acknowledge, auth) for auth in (("ada", "a"), ("bo", "b"))]
            wait_until(
                lambda: database.rows(WAITS, database.name, "%writer") == [(2,)], 20, "both wait"
            )
            holder.rollback()
            found = dict(each.result() for each in asked)
    assert sorted(found) == [200, 409]
    history = "SELECT sequence, to_status, actor FROM analytics_alert_history ORDER BY sequence"
    assert database.rows(history) == [(1, "active", None), (2, "acknowledged", found[200])]
    assert api_status(app, alert_id) == ("acknowledged", found[200])


def test_the_evaluator_was_first(app: Flask, database: Database) -> None:
    """It has resolved the alert, and commits while a person's hand waits."""
    alert_id = fire(database, rule())
    sender = Sender(app.test_client())
    with contextlib.closing(database.connect()) as evaluator:
        evaluator.autocommit = False
        evaluator_resolves(evaluator, rule(), "api", BEGIN_S + 60)
        with ThreadPoolExecutor(1) as person:
            asked = person.submit(sender.answer, "POST", f"/alerts/{alert_id}/acknowledge")
            wait_until(
                lambda: database.rows(WAITS, database.name, "%writer") == [(1,)],
                20,
                "the hand waits",
            )
            evaluator.commit()
            answer = asked.result()
    assert answer.status_code == 409
    assert answer.get_json()["detail"] == f"Alert {alert_id} is resolved: nothing to acknowledge."
    assert api_status(app, alert_id) == ("resolved", None)


def test_a_person_was_first(app: Flask, database: Database) -> None:
    """The evaluator looked before, and writes afterwards: nothing of what it saw is written."""
    alert_id = fire(database, rule())
    key = ("errors", "api")
    with contextlib.closing(database.connect()) as evaluator, evaluator.cursor() as cur:
        evaluator.autocommit = False
        held = read_states(cur)[key]
        Sender(app.test_client()).send("POST", f"/alerts/{alert_id}/acknowledge")
        after, told = close(held.state, BEGIN_S + 60, None)
        with pytest.raises(Exception, match="analytics_alert_history_sequence_key"):
            store(cur, [Change(key, rule(), held, after, told, 1.0)])
        evaluator.rollback()
        evaluator_resolves(evaluator, rule(), "api", BEGIN_S + 60)  # its next look
        evaluator.commit()
    assert api_status(app, alert_id) == ("resolved", "ada")
    history = (
        "SELECT sequence, from_status, to_status FROM analytics_alert_history ORDER BY sequence"
    )
    assert database.rows(history) == [
        (1, "inactive", "active"), (2, "active", "acknowledged"), (3, "acknowledged", "resolved"),
    ]  # fmt: skip


def api_status(app: Flask, alert_id: int) -> tuple[str, str | None]:
    found = Sender(app.test_client()).get(f"/alerts/{alert_id}")
    return found["status"], found["acknowledged_by"]


def test_figures_of_alerts_and_channels(api: Sender, database: Database) -> None:
    database.execute(
        "INSERT INTO alert_channels (channel, on_since, paused_until, breaker_open_since, last_error) VALUES"
        " ('slack', '2026-02-01T00:00:00Z', '2026-02-01T00:01:00Z', '2026-02-01T00:00:30Z', 'answered 500'),"
        " ('email', NULL, NULL, NULL, NULL)"
    )
    alert_id = fire(database, rule())
    add_deliveries(
        database,
        alert_id,
        *[{"channel": "slack", "kind": "firing", "status": "sent"}] * 2,
        {"channel": "slack", "kind": "firing", "status": "failed", "created_at": "2026-02-01T00:00:00Z",
         "finished_at": "2126-02-01T00:00:00Z"},
        {"channel": "slack", "kind": "firing", "status": "sent", "created_at": "2026-02-01T00:00:00Z"},  # long ago
        {"channel": "email", "kind": "firing", "status": "withheld"},
    )  # fmt: skip
    body = api.get("/alert-stats")
    assert set(body) == {"severities", "channels", "timestamp"}
    assert [row["severity"] for row in body["severities"]] == ["critical", "warning", "info", "all"]
    assert [row["open_alerts"] for row in body["severities"]] == [1, 0, 0, 1]
    none = {"pending": 0, "sent": 0, "failed": 0, "withheld": 0, "replaced": 0}
    assert body["channels"] == [
        {"channel": "slack", "state": "on", "on_since": "2026-02-01T00:00:00Z", "paused_until": "2026-02-01T00:01:00Z",
         "breaker_open_since": "2026-02-01T00:00:30Z", "last_error": "answered 500",
         "deliveries_24h": none | {"sent": 2, "failed": 1}},
        {"channel": "email", "state": "off", "on_since": None, "paused_until": None,
         "breaker_open_since": None, "last_error": None, "deliveries_24h": none | {"withheld": 1}},
        {"channel": "pagerduty", "state": "unknown", "on_since": None, "paused_until": None,
         "breaker_open_since": None, "last_error": None, "deliveries_24h": none},
    ]  # fmt: skip
