"""`/dead-letters`: what is shown of them, and what asking for replays leaves in the database."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg2 import Binary

from tests.api_writes import READER, Sender, writing_app
from tests.databases import Database

TOPIC = "stacklens-analytics"
LONG = ("é" * 1500).encode()
LETTERS = [
    (TOPIC, "invalid_json", b"k", b"{", "pending"),
    (TOPIC, "invalid_json", b"\xff", b"\xff\x00", "pending"),
    (TOPIC, "too_large", None, LONG, "pending"),
    (TOPIC, "empty", None, None, "pending"),
    (TOPIC, "too_old", None, b"=1+1", "discarded"),
    (TOPIC, "too_old", None, b"{}", "replayed"),
    ("older-topic", "too_old", None, b"{}", "pending"),
]


@pytest.fixture
def sender(database: Database) -> Iterator[Sender]:
    for offset, (topic, reason, key, value, status) in enumerate(LETTERS):
        database.execute(
            "INSERT INTO analytics_dead_letters (topic, topic_incarnation, kafka_partition, kafka_offset, reason,"
            " detail, raw_key, raw_value, status) VALUES (%s, 1, 0, %s, %s, 'why', %s, %s, %s)",
            topic,
            offset,
            reason,
            None if key is None else Binary(key),
            None if value is None else Binary(value),
            status,
        )
    with writing_app(database) as app:
        yield Sender(app.test_client())


def queued(database: Database) -> list[tuple[Any, ...]]:
    return database.rows(
        "SELECT dead_letter_id, requested_by, refused FROM dead_letter_replays ORDER BY 1"
    )


def test_newest_first_and_pending_unless_asked_otherwise(sender: Sender) -> None:
    def ids(**query: Any) -> list[int]:
        body = sender.send("GET", "/dead-letters", **query)
        assert body["count"] == len(body["dead_letters"])
        return [letter["id"] for letter in body["dead_letters"]]

    assert ids() == [7, 4, 3, 2, 1]
    assert ids(status="all") == [7, 6, 5, 4, 3, 2, 1]
    assert ids(status="discarded") == [5]
    assert ids(topic=TOPIC) == [4, 3, 2, 1]
    assert ids(reason="invalid_json") == [2, 1]
    assert ids(reason="nothing") == []


def test_pages_hold_every_letter_once(sender: Sender) -> None:
    found: list[int] = []
    query: dict[str, Any] = {"limit": 2, "status": "all"}
    while True:
        page = sender.send("GET", "/dead-letters", **query)
        found += [letter["id"] for letter in page["dead_letters"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == [7, 6, 5, 4, 3, 2, 1]


def test_bytes_are_text_where_they_are_utf8(sender: Sender) -> None:
    found = {letter["id"]: letter for letter in sender.send("GET", "/dead-letters")["dead_letters"]}
    assert (found[1]["raw_key"], found[1]["raw_key_encoding"]) == ("k", "utf-8")
    assert (found[1]["raw_value"], found[1]["raw_value_encoding"]) == ("{", "utf-8")
    assert (found[1]["raw_value_bytes"], found[1]["raw_value_truncated"]) == (1, False)
    assert base64.b64decode(found[2]["raw_value"]) == b"\xff\x00"
    assert found[2]["raw_value_encoding"] == found[2]["raw_key_encoding"] == "base64"
    assert (
        found[4]["raw_value"]
        is found[4]["raw_value_encoding"]
        is found[4]["raw_value_bytes"]
        is None
    )
    assert (found[1]["detail"], found[1]["kafka_offset"], found[1]["topic_copy"]) == (
        "why",
        0,
        "pending",
    )


def test_long_values_are_cut_in_the_list_and_whole_by_themselves(sender: Sender) -> None:
    (cut,) = sender.send("GET", "/dead-letters", reason="too_large")["dead_letters"]
    assert (cut["raw_value"], cut["raw_value_encoding"]) == ("é" * 1000, "utf-8")
    assert (cut["raw_value_truncated"], cut["raw_value_bytes"]) == (True, 3000)
    whole = sender.send("GET", "/dead-letters/3")
    assert (whole["raw_value"], whole["raw_value_truncated"]) == (LONG.decode(), False)
    assert {**whole, "raw_value": 0, "raw_value_truncated": 0} == {
        **cut,
        "raw_value": 0,
        "raw_value_truncated": 0,
    }


def test_a_character_that_the_cut_goes_through_is_left_out(
    database: Database, sender: Sender
) -> None:
    database.execute(
        "UPDATE analytics_dead_letters SET raw_value = %s WHERE id = 3", Binary(b"x" + LONG)
    )
    (cut,) = sender.send("GET", "/dead-letters", reason="too_large")["dead_letters"]
    assert (cut["raw_value"], cut["raw_value_encoding"]) == ("x" + "é" * 999, "utf-8")


def test_one_that_is_not_there(sender: Sender) -> None:
    for path in (
        "/dead-letters/99",
        "/dead-letters/0",
        "/dead-letters/x",
        "/dead-letters/9223372036854775808",
    ):
        sender.send("GET", path, expect=404)


def test_as_csv(sender: Sender) -> None:
    answer = sender.answer("GET", "/dead-letters", format="csv", status="discarded")
    head, line, end = answer.get_data(as_text=True).split("\r\n")
    assert dict(zip(head.split(","), line.split(","), strict=True))["raw_value"] == "'=1+1"
    assert end == ""
    paged = sender.answer("GET", "/dead-letters", format="csv", limit=1)
    assert paged.headers["X-Next-Cursor"] == "7"


@pytest.mark.parametrize(
    ("body", "expected", "left"),
    [
        ({}, [1, 2, 3, 4], 0),
        ({"reason": "invalid_json"}, [1, 2], 0),
        ({"ids": [2, 3, 99]}, [2, 3], 0),
        ({"limit": 3}, [1, 2, 3], 1),
        ({"status": "discarded"}, [5], 0),
    ],
)
def test_replays_are_queued(
    sender: Sender, database: Database, body: dict[str, Any], expected: list[int], left: int
) -> None:
    answer = sender.send("POST", "/dead-letters/replay", body, expect=202)
    assert answer == {"queued": len(expected), "left": left}
    assert queued(database) == [(letter, "ada", None) for letter in expected]
    status = "SELECT DISTINCT status FROM analytics_dead_letters WHERE id = ANY(%s)"
    assert database.rows(status, expected) == [("pending",)]
    (first,) = sender.send(
        "GET", "/dead-letters", status="all", cursor=str(expected[0] + 1), limit=1
    )["dead_letters"]
    assert first["replay_requested_at"] is not None


def test_asking_again_is_asking_once(sender: Sender, database: Database) -> None:
    for _ in range(2):
        sender.send("POST", "/dead-letters/replay", {"ids": [1]}, expect=202)
    assert len(queued(database)) == 1
    database.execute("UPDATE dead_letter_replays SET refused = 'too large'")
    letter = sender.send("GET", "/dead-letters/1")
    assert (letter["replay_requested_at"], letter["replay_refused"]) == (None, "too large")
    sender.send("POST", "/dead-letters/replay", {"ids": [1]}, expect=202)
    assert queued(database) == [(1, "ada", None)]


@pytest.mark.parametrize(
    "body", [{"ids": [5]}, {"ids": [6]}, {"ids": [7]}, {"ids": [99]}, {"reason": "x"}]
)
def test_nothing_to_replay(sender: Sender, database: Database, body: dict[str, Any]) -> None:
    sender.send("POST", "/dead-letters/replay", body, expect=404)
    assert queued(database) == []


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"ids": []}, "ids"),
        ({"ids": [0]}, "ids"),
        ({"ids": ["1"]}, "ids"),
        ({"status": "replayed"}, "status"),
        ({"limit": 0}, "limit"),
        ({"reason": ""}, "reason"),
        ({"reason": "\0"}, "reason"),
        ({"all": True}, "all"),
    ],
)
def test_bodies_that_cannot_be_used(
    sender: Sender, database: Database, body: dict[str, Any], parameter: str
) -> None:
    problem = sender.send("POST", "/dead-letters/replay", body, expect=400)
    assert [error["parameter"] for error in problem["errors"]] == [parameter]
    assert queued(database) == []


def test_only_admins(sender: Sender) -> None:
    reader = Sender(sender.client, READER)
    for method, path in (
        ("GET", "/dead-letters"),
        ("GET", "/dead-letters/1"),
        ("POST", "/dead-letters/replay"),
    ):
        reader.send(method, path, expect=403)
