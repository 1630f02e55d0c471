"""`/silences` and `/audit`, on a real database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from analytics_service.adapters.timescale.silences import silences_for
from tests.api_writes import READER, Sender, patient_locks, writing_app
from tests.databases import Database
from tests.waiting import wait_until

NEW = {"matcher": {"service": "pay*"}, "until": "+2h", "comment": "moving"}
ROW = {"id", "matcher", "from", "until", "author", "comment", "created_at", "state"}
FAR = "2126-02-01T00:00:00Z"
FARTHER = "2126-02-02T00:00:00Z"


@pytest.fixture
def app(database: Database) -> Iterator[Flask]:
    with patient_locks(), writing_app(database) as app:
        yield app


@pytest.fixture
def api(app: Flask) -> Sender:
    return Sender(app.test_client())


def made(api: Sender, **changes: Any) -> dict[str, Any]:
    """A new silence, as it is answered."""
    row: dict[str, Any] = api.send("POST", "/silences", NEW | changes, 201)
    assert set(row) == ROW
    return row


def moment(row: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(row[name])


def test_a_silence_from_making_to_ending(api: Sender, database: Database) -> None:
    answer = api.answer("POST", "/silences", NEW)
    assert (answer.status_code, answer.headers["Location"]) == (201, "/silences/1")
    row = answer.get_json()
    assert set(row) == ROW
    assert (row["id"], row["matcher"], row["author"]) == (1, {"service": "pay*"}, "ada")
    assert (row["comment"], row["state"]) == ("moving", "active")
    # From the beginning of the transaction to two hours after the clock was asked.
    assert (
        timedelta(hours=2)
        <= moment(row, "until") - moment(row, "from")
        < timedelta(hours=2, minutes=1)
    )
    assert api.get("/silences/1") == api.get("/v1/silences/1") == row
    page = api.get("/silences")
    assert page == {"silences": [row], "count": 1, "state": "current", "next_cursor": None}

    put = api.send("PUT", "/silences/1", {"until": FAR, "comment": "longer"})
    assert put == row | {"until": FAR, "comment": "longer"}
    assert api.send("PATCH", "/silences/1", {"comment": "still"}) == put | {"comment": "still"}
    patched = api.send("PATCH", "/silences/1", {"until": FARTHER})
    assert patched == put | {"comment": "still", "until": FARTHER}
    assert api.send("PATCH", "/silences/1", {}) == patched  # leaves no trace

    ended = Sender(api.client, ("bo", "b")).send("DELETE", "/silences/1", {"comment": "done"})
    assert (ended["state"], ended["comment"], ended["author"]) == ("expired", "still", "ada")
    assert api.get("/silences")["silences"] == []
    assert api.get("/silences", state="expired")["silences"] == [ended]
    for method, body in (
        ("PUT", {"until": FAR, "comment": "x"}),
        ("PATCH", {"comment": "x"}),
        ("DELETE", {}),
    ):
        detail = api.send(method, "/silences/1", body, 409)["detail"]
        assert detail.startswith("Silence 1 is over since ")

    trail = database.rows(
        "SELECT actor, action, subject, subject_id, comment FROM audit_trail ORDER BY id"
    )
    assert trail == [
        ("ada", "create", "silence", "1", "moving"),
        ("ada", "change", "silence", "1", "longer"),
        ("ada", "change", "silence", "1", "still"),
        ("ada", "change", "silence", "1", None),
        ("bo", "remove", "silence", "1", "done"),
    ]


def test_what_is_to_come(api: Sender, database: Database) -> None:
    row = made(api, **{"from": FAR, "until": FARTHER})
    assert (row["state"], row["from"], row["until"]) == ("pending", FAR, FARTHER)
    assert api.get("/silences", state="pending")["count"] == 1
    assert api.get("/silences", state="active")["count"] == 0
    ended = api.send("DELETE", "/silences/1")
    assert ended["state"] == "expired"
    assert ended["from"] == ended["until"] < FAR
    with contextlib.closing(database.connect()) as conn, conn.cursor() as cur:
        (kept,) = silences_for(cur)
    assert kept.starts_s == kept.ends_s  # never in force


def test_one_that_should_have_begun_begins_now(api: Sender) -> None:
    row = made(api, **{"from": "-1d"})
    assert row["state"] == "active"
    assert moment(row, "from") == moment(row, "created_at")


def test_states_and_pages(api: Sender) -> None:
    for number in range(5):
        made(api, comment=str(number))
    api.send("DELETE", "/silences/2")
    api.send("DELETE", "/silences/4")
    assert [row["id"] for row in api.get("/silences")["silences"]] == [5, 3, 1]
    assert [row["id"] for row in api.get("/silences", state="expired")["silences"]] == [4, 2]
    found: list[int] = []
    query: dict[str, Any] = {}
    for more in (True, True, False):
        page = api.get("/silences", state="all", limit=2, **query)
        found += [row["id"] for row in page["silences"]]
        assert (page["next_cursor"] is not None) == more
        query = {"cursor": page["next_cursor"]}
    assert found == [5, 4, 3, 2, 1]
    csv = api.answer("GET", "/silences", format="csv", limit=1)
    assert (
        csv.get_data(as_text=True).splitlines()[0]
        == "id,matcher,from,until,author,comment,created_at,state"
    )


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (
            {"matcher": {}},
            "matcher",
            "must name at least one of rule_name, service, severity, metric_name",
        ),
        ({"matcher": {"service": None}}, "matcher", "must name at least one of"),
        ({"matcher": "pay*"}, "matcher", "must be `object`, not `str`"),
        ({"matcher": {"service": ""}}, "matcher.service", "must be a text of 1 to 255 characters"),
        (
            {"matcher": {"rule_name": "x" * 256}},
            "matcher.rule_name",
            "must be a text of 1 to 255 characters",
        ),
        (
            {"matcher": {"service": "nul\0"}},
            "matcher.service",
            "must be a text of 1 to 255 characters",
        ),
        (
            {"matcher": {"severity": "*"}},
            "matcher.severity",
            "must be one of info, warning, critical",
        ),
        (
            {"matcher": {"metric_name": "error_*"}},
            "matcher.metric_name",
            "must be one of total_requests, ",
        ),
        (
            {"matcher": {"service": "x", "team": "y"}},
            "matcher.team",
            "is not a member here; there are: rule_name, ",
        ),
        ({"until": "2h"}, "until", "must be ISO 8601"),
        ({"until": "+2"}, "until", "must be such as +30m, +2h or +1d"),
        ({"until": "-1h"}, "until", "must be in the future"),
        ({"until": "now"}, "until", "must be in the future"),
        ({"until": 7200}, "until", "must be `str`, not `int`"),
        ({"from": "soon"}, "from", "must be ISO 8601"),
        ({"from": FARTHER, "until": FAR}, "until", "must be after `from`"),
        ({"from": FAR, "until": FAR}, "until", "must be after `from`"),
        ({"comment": ""}, "comment", "must be `str` of length >= 1"),
        ({"comment": "x" * 2001}, "comment", "must be `str` of length <= 2000"),
        ({"author": "somebody else"}, "author", "is not a member here"),
        (
            {"since": "now"},
            "since",
            "is not a member here; there are: matcher, from, until, comment",
        ),
    ],
)
def test_each_bad_member_is_named(
    api: Sender, database: Database, change: dict[str, Any], name: str, words: str
) -> None:
    problems = api.problems("POST", "/silences", NEW | change)
    assert list(problems) == [name]
    assert problems[name].startswith(words)
    assert database.rows("SELECT count(*) FROM alert_silences") == [(0,)]


def test_all_bad_members_are_named_at_once(api: Sender) -> None:
    body = {
        "matcher": {"service": 1, "severity": 2, "x": 3},
        "from": 4,
        "until": 5,
        "comment": 6,
        "y": 7,
    }
    assert set(api.problems("POST", "/silences", body)) == {
        "matcher.service", "matcher.severity", "matcher.x", "from", "until", "comment", "y",
    }  # fmt: skip
    assert set(api.problems("POST", "/silences", {})) == {"matcher", "until", "comment"}
    both = {"from": "x", "until": "y"}
    assert set(api.problems("POST", "/silences", NEW | both)) == {"from", "until"}


def test_changes_that_are_refused(api: Sender) -> None:
    row = api.send("POST", "/silences", NEW | {"from": FAR, "until": FARTHER}, 201)
    for method, body, name, words in (
        ("PUT", {"until": FAR}, "comment", "is missing"),
        ("PUT", {"comment": "x"}, "until", "is missing"),
        ("PATCH", {"until": "-1h"}, "until", "must be in the future"),
        ("PATCH", {"until": "+1h"}, "until", "must be after `from`"),
        ("PATCH", {"matcher": {"service": "other"}}, "matcher", "is not a member here"),
        ("PATCH", {"comment": ""}, "comment", "must be"),
        ("DELETE", {"until": "now"}, "until", "is not a member here"),
    ):
        problems = api.problems(method, "/silences/1", body)
        assert list(problems) == [name]
        assert problems[name].startswith(words)
    assert api.get("/silences/1") == row


def test_unknown_silences(api: Sender) -> None:
    for method, body in (
        ("GET", None),
        ("PUT", {"until": FAR, "comment": "x"}),
        ("PATCH", {}),
        ("DELETE", {}),
    ):
        assert (
            api.send(method, "/silences/4711", body, 404)["detail"] == "There is no silence 4711."
        )
    for number in ("0", "-1", "x", "9223372036854775808"):
        api.get(f"/silences/{number}", 404)


def test_readers_look_and_touch_nothing(app: Flask, api: Sender) -> None:
    row = made(api)
    reader = Sender(app.test_client(), READER)
    assert reader.get("/silences")["count"] == 1
    for method, path, body in (
        ("POST", "/silences", NEW),
        ("PUT", "/silences/1", {"until": FAR, "comment": "x"}),
        ("PATCH", "/silences/1", {"comment": "x"}),
        ("DELETE", "/silences/1", {}),
    ):
        reader.send(method, path, body, 403)
    reader.get("/audit", 403)
    assert api.get("/silences", state="all")["silences"] == [row]


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>",
        "'; DROP TABLE alert_silences; --",
        "=cmd|x",
        "a/b %s",
        "x" * 255,
    ],
)
def test_names_are_data(api: Sender, name: str) -> None:
    row = made(api, matcher={"service": name, "rule_name": name}, comment=name)
    assert row["matcher"] == {"rule_name": name, "service": name}
    assert api.get("/silences/1")["comment"] == name
    assert api.get("/audit")["entries"][0]["comment"] == name


def test_of_two_who_end_it_at_once_one_does(app: Flask, api: Sender, database: Database) -> None:
    """The lock of a third holds up both."""
    made(api)
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    with contextlib.closing(database.connect()) as holder, holder.cursor() as cursor:
        holder.autocommit = False
        cursor.execute("SELECT FROM alert_silences FOR UPDATE")
        with ThreadPoolExecutor(2) as people:
            asked = [
                people.submit(Sender(app.test_client(), auth).answer, "DELETE", "/silences/1")
                for auth in (("ada", "a"), ("bo", "b"))
            ]
            wait_until(lambda: database.rows(waits, database.name) == [(2,)], 20, "both wait")
            holder.rollback()
            assert sorted(each.result().status_code for each in asked) == [200, 409]
    assert database.rows("SELECT count(*) FROM audit_trail WHERE action = 'remove'") == [(1,)]


def test_the_audit_trail(api: Sender) -> None:
    row = made(api)
    rule = {
        "rule_name": "errors",
        "metric_name": "error_rate",
        "operator": ">",
        "threshold": 5,
        "severity": "info",
    }
    api.send("POST", "/rules", rule, 201)
    api.send("PATCH", "/rules/errors", {"threshold": 6, "comment": "too loud"})
    page = api.get("/audit")
    assert (set(page), page["count"], page["next_cursor"]) == (
        {"entries", "count", "next_cursor"},
        3,
        None,
    )
    changed, created, silenced = page["entries"]
    assert set(changed) == {
        "id", "at", "actor", "action", "subject", "subject_id", "comment", "before", "after",
    }  # fmt: skip
    assert (changed["actor"], changed["action"], changed["comment"]) == (
        "ada",
        "change",
        "too loud",
    )
    assert (changed["before"]["threshold"], changed["after"]["threshold"]) == (5.0, 6.0)
    assert (created["action"], created["before"]) == ("create", None)
    assert silenced["after"] == {
        "id": 1, "matcher": {"service": "pay*"}, "from": row["from"], "until": row["until"], "author": "ada",
        "comment": "moving",
    }  # fmt: skip
    assert [entry["id"] for entry in api.get("/audit", subject="silence")["entries"]] == [1]
    first = api.get("/audit", limit=2)
    assert [entry["id"] for entry in first["entries"]] == [3, 2]
    second = api.get("/audit", limit=2, cursor=first["next_cursor"])
    assert [entry["id"] for entry in second["entries"]] == [1]
    assert api.problems("GET", "/audit", None, subject="alert", limit=0).keys() == {
        "subject",
        "limit",
    }
