"""What the evaluator stores is what it reads back, whatever the texts, and told in the same words to all."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.alert_outbox import unsent
from analytics_service.adapters.timescale.alert_store import read_states, store
from analytics_service.domain.alerts import AlertState, acknowledge, close
from analytics_service.domain.evaluation import Change, Held, Key, View, WindowRows, changes
from analytics_service.domain.rules import NO_DATA_POLICIES, Rule
from tests.alert_rows import BEGIN_S
from tests.alert_rows import rule as a_rule
from tests.databases import Database

AWKWARD = "tab\t, line\n, return\r, \\back\\slash \\N \\., \"quote' %s {} é \U0001f600"
SERVICES = ("api", "web", AWKWARD)
ROUNDS = 60


@pytest.fixture
def conn(database: Database) -> Iterator[Connection]:
    """A connection that commits by itself."""
    with contextlib.closing(database.connect()) as opened:
        yield opened


def view(rows: Mapping[str, float | None], now_s: float) -> View:
    """The error rate of each service in its last complete window; None: there is no such window."""
    start = int(now_s) - 60
    found = {
        service: {start: (10, {"error_rate": value})}
        for service, value in rows.items()
        if value is not None
    }
    return View(now_s, {"1min": WindowRows(start, found)}, SERVICES)


def look(conn: Connection, rules: list[Rule], seen: View) -> list[Change]:
    """What the evaluator does in one look."""
    with conn.cursor() as cur:
        found = list(changes(rules, read_states(cur), seen))
        store(cur, found)
    return found


def states(conn: Connection) -> dict[Key, Held]:
    """What is in the tables."""
    with conn.cursor() as cur:
        return read_states(cur)


def test_every_state_is_read_back_as_it_was_stored(conn: Connection) -> None:
    rules = [
        a_rule(f"{policy} {duration} {AWKWARD}", no_data_policy=policy, duration_seconds=duration,
               keep_firing_seconds=90)
        for policy in NO_DATA_POLICIES for duration in (0, 90)
    ]  # fmt: skip
    dice = random.Random(11)
    expected: dict[Key, AlertState] = {}
    kinds: set[str] = set()
    for number in range(ROUNDS):
        now_s = BEGIN_S + 60.25 * number
        values = {service: dice.choice([1.0, 50.0, 50.0, None]) for service in SERVICES}
        if number % 20 > 12:
            values[AWKWARD] = None
        for change in look(conn, rules, view(values, now_s)):
            expected[change.key] = change.after
            kinds |= {told.to_status for told in change.transitions}
        found = {key: held.state for key, held in states(conn).items()}
        assert found == {key: state for key, state in expected.items() if state != AlertState()}
    assert kinds == {"pending", "active", "resolved"}


def test_history_and_messages_tell_the_same(conn: Connection, database: Database) -> None:
    rule = a_rule(AWKWARD, duration_seconds=60, keep_firing_seconds=0, description=AWKWARD)
    rule = replace(rule, notification_channels=("slack", "email"))
    for at_s, value in ((0.0, 50.5), (60.123456, 60.0)):
        look(conn, [rule], view({AWKWARD: value}, BEGIN_S + at_s))
    key = (AWKWARD, AWKWARD)
    held = states(conn)[key]
    after, told = acknowledge(held.state, BEGIN_S + 61, AWKWARD)
    with conn.cursor() as cur:
        store(cur, [Change(key, rule, held, after, told, None, AWKWARD)])
    held = states(conn)[key]
    after, told = close(held.state, BEGIN_S + 62, None)
    with conn.cursor() as cur:
        store(cur, [Change(key, None, held, after, told, None)])
        messages = [json.loads(each.value) for each in unsent(cur, 10)]
    trail = database.rows(
        """
        SELECT transition_id::text, episode_id::text, sequence, alert_id, from_status, to_status,
            to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), value, actor, comment
        FROM analytics_alert_history ORDER BY id
        """
    )
    names = ("transition_id", "episode_id", "sequence", "alert_id", "from_status", "to_status")
    for message, (*row, at, value, actor, comment) in zip(messages, trail, strict=True):
        assert [message[name] for name in names] == row
        assert message["at"].rstrip("Z").ljust(20, ".").ljust(26, "0") == at
        assert (message["value"], message["actor"], message["comment"]) == (value, actor, comment)
        assert (message["rule_name"], message["service"]) == key
    assert [message["value"] for message in messages] == [60.0, 60.0, None, None]
    assert [message["sequence"] for message in messages] == [1, 2, 3, 4]
    assert messages[1]["description"] == AWKWARD
    assert messages[1]["notification_channels"] == ["slack", "email"]
    assert messages[1]["window_start"] == "2026-02-01T00:00:00Z"
    assert (messages[3]["operator"], messages[3]["notification_channels"]) == (None, [])
    assert len({message["transition_id"] for message in messages}) == 4
    assert database.rows(
        "SELECT rule_name, service, status, acknowledged_by, value, resolved_at IS NOT NULL FROM analytics_alerts"
    ) == [(*key, "resolved", AWKWARD, 60.0, True)]


def test_an_open_alert_has_a_row_of_its_own_only_while_a_clock_runs(
    conn: Connection, database: Database
) -> None:
    rule = a_rule(keep_firing_seconds=60)
    rows = "SELECT clear_since IS NOT NULL, no_data_since IS NOT NULL FROM alert_states"
    for at_s, value, expected in (
        (0, 50.0, []),
        (1, 1.0, [(True, False)]),
        (2, None, [(True, True)]),
        (3, 50.0, []),
        (4, 1.0, [(True, False)]),
        (64, 1.0, []),
    ):
        look(conn, [rule], view({"api": value}, BEGIN_S + at_s))
        assert database.rows(rows) == expected
    assert states(conn) == {}


@pytest.mark.parametrize("policy", ["resolve", "alert"])
def test_a_service_or_a_rule_that_is_gone_leaves_nothing_that_is_looked_at_for_ever(
    conn: Connection, policy: str
) -> None:
    rule = a_rule(duration_seconds=0, no_data_policy=policy)
    look(conn, [rule], view({"api": 50.0}, BEGIN_S))
    look(conn, [rule], view({"api": None}, BEGIN_S + 60))
    look(conn, [rule], view({"api": None}, BEGIN_S + 400))
    left = {key[1] for key in states(conn)}
    # Where its absence is an alert the service is looked at, as are the others that are known.
    assert left == ({"api", *SERVICES} if policy == "alert" else set())
    if policy == "alert":
        assert look(conn, [], view({}, BEGIN_S + 401))
    assert states(conn) == {}
    assert look(conn, [], view({}, BEGIN_S + 402)) == []
