"""Bad input: dead-lettered with its reason or stored exactly, never a crash, never a neighbour lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.sending import Outgoing
from tests.integration.whole_way import WholeWay

TEXT_FIELDS = (
    "user_id", "request_id", "trace_id", "span_id", "message", "error_message", "geo_country",
    "user_subscription_tier",
)  # fmt: skip
NASTY = (
    "",
    " ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "tab\tin it",
    "two\nlines",
    "carriage\rreturn",
    'double "quotes"',
    "single 'quotes'",
    "back\\slash",
    "ends in a backslash\\",
    "\\N",
    "\\.",
    "\\n \\t \\x41 \\101 \\\\",
    "\\",
    "\\\\N",
    "null",
    "NULL",
    "{1,2}",
    "'); DROP TABLE analytics_events; --",
    "\x01\x02\x08\x0b\x0c\x1b\x1f\x7f",
    "\x85\u2028\u2029",
    "🚀 Größe ☃ é e\u0301",
    "\u202e right to left",
    "\ufeff\ufffd\uffff\U0010ffff",
    "%s %(x)s {} {0}",
    "x" * 20_000,
)
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)


def good(**fields: object) -> dict[str, object]:
    """An event that keeps every rule."""
    return {"timestamp": NOW.isoformat(), "service": "neighbour", "level": "info", **fields}


def as_json(fields: dict[str, object], *, ascii_only: bool = False) -> bytes:
    """JSON with characters as themselves, or escaped."""
    return json.dumps(fields, ensure_ascii=ascii_only).encode()


def between_neighbours(value: bytes | None, number: int) -> list[Outgoing]:
    """A value between two good events, all in one partition."""
    before, after = (as_json(good(message=f"{side} {number}")) for side in ("before", "after"))
    return [Outgoing(number % 6, each) for each in (before, value, after)]


def neighbours(way: WholeWay) -> list[str]:
    """The messages of the neighbours that are stored."""
    query = "SELECT message FROM analytics_events WHERE service = 'neighbour'"
    return [row[0] for row in way.database.rows(query)]


def test_bad_values_are_dead_letters_with_their_reason(way: WholeWay) -> None:
    def broken(**fields: object) -> bytes:
        return as_json(good(service="bad", **fields))

    def written(member: str) -> bytes:
        return broken()[:-1] + f", {member}}}".encode()

    without = {name: value for name, value in good().items() if name != "service"}
    cases: list[tuple[str, bytes | None]] = [
        ("empty", None),
        ("empty", b""),
        ("invalid_json", b"not JSON"),
        ("invalid_json", b'{"timestamp": '),
        ("invalid_json", b"\xff\xfe\xfd"),
        ("invalid_json", written('"latency_ms": NaN')),
        ("invalid_json", written('"latency_ms": Infinity')),
        ("invalid_json", written('"message": "\\ud800"')),
        ("invalid_json", written('"message": "\\udc00\\ud800"')),
        ("not_an_object", b"[1, 2]"),
        ("not_an_object", b"null"),
        ("missing_field:service", as_json(without)),
        ("missing_field:level", broken(level=None)),
        ("invalid_field:level", broken(level=3)),
        ("invalid_field:level", broken(level="loud")),
        ("invalid_field:latency_ms", broken(latency_ms=-0.5)),
        ("invalid_field:latency_ms", broken(latency_ms="12")),
        ("invalid_field:latency_ms", broken(latency_ms=True)),
        ("invalid_field:latency_ms", written('"latency_ms": 1e400')),
        ("invalid_field:risk_score", broken(risk_score=1.5)),
        ("invalid_field:source_ip", broken(source_ip="somewhere")),
        ("invalid_field:message", broken(message="a NUL \0 character")),
        ("invalid_field:user_id", broken(user_id={"id": 1})),
        ("invalid_field:service", as_json(good(service=""))),
        ("invalid_field:service", as_json(good(service="s" * 256))),
        ("invalid_field:timestamp", broken(timestamp="yesterday")),
        ("too_large", broken(message="x" * 900 * 1024)),
        ("future_timestamp", broken(timestamp=(NOW + timedelta(hours=2)).isoformat())),
        ("too_old", broken(timestamp=(NOW - timedelta(days=8)).isoformat())),
        ("too_old", broken(timestamp="0001-01-01T00:00:00Z")),
        ("future_timestamp", broken(timestamp="9999-12-31T23:59:59.999999Z")),
        ("future_timestamp", broken(timestamp="9999-12-31T23:59:59-12:00")),
    ]
    for number, (_, value) in enumerate(cases):
        way.send(between_neighbours(value, number))
    worker = way.start()
    way.wait_settled()

    wanted = {f"{side} {n}" for side in ("before", "after") for n in range(len(cases))}
    found = neighbours(way)
    assert len(found) == len(wanted)
    assert set(found) == wanted
    rows = way.database.rows(
        "SELECT reason, raw_value FROM analytics_dead_letters ORDER BY kafka_partition, kafka_offset"
    )
    assert sorted(rows_as_bytes(rows), key=repr) == sorted(cases, key=repr)
    assert way.database.rows("SELECT count(*) FROM analytics_events WHERE service = 'bad'") == [
        (0,)
    ]
    assert worker.terminate() == 0


def rows_as_bytes(rows: list[tuple[Any, ...]]) -> list[tuple[str, bytes | None]]:
    """(reason, original bytes) of dead letters."""
    return [(reason, None if raw is None else bytes(raw)) for reason, raw in rows]


def test_every_text_is_stored_exactly(way: WholeWay) -> None:
    expected: dict[str, dict[str, str]] = {}
    messages = []
    for number, text in enumerate(NASTY):
        for ascii_only in (False, True):
            key = f"{number}-{ascii_only}"
            fields = dict.fromkeys(TEXT_FIELDS, text) if len(text) < 1000 else {"message": text}
            expected[key] = fields
            value = as_json(good(service=key, **fields), ascii_only=ascii_only)
            messages += between_neighbours(value, number)
    # And one at a time, beside fields that are absent: a shift of columns would show.
    for name in TEXT_FIELDS:
        expected[name] = {name: "\\N\tx"}
        messages += between_neighbours(as_json(good(service=name, **expected[name])), 0)
    way.send(messages)
    way.start()
    way.wait_settled()

    assert way.database.rows("SELECT reason, detail FROM analytics_dead_letters") == []
    columns = ", ".join(TEXT_FIELDS)
    rows = way.database.rows(
        f"SELECT service, {columns} FROM analytics_events WHERE service <> 'neighbour'"  # noqa: S608  # fixed names
    )
    stored = {
        service: {n: v for n, v in zip(TEXT_FIELDS, texts, strict=True) if v is not None}
        for service, *texts in rows
    }
    assert stored == expected
    assert len(rows) == len(expected)
    assert len(neighbours(way)) == 2 * len(expected)
    assert way.differences() == []


def test_every_service_name_is_stored_exactly(way: WholeWay) -> None:
    names = [name for name in NASTY if 1 <= len(name) <= 255] + ["s" * 255, "🚀" * 255]
    for _ in range(2):  # the second time the windows' rows exist
        way.send(
            message
            for number, name in enumerate(names)
            for message in between_neighbours(as_json(good(service=name, latency_ms=1)), number)
        )
        if not way.workers:
            way.start()
        way.wait_settled()
    for table in ("analytics_events", "analytics_metrics_1min", "analytics_metrics_1hour"):
        found = {
            row[0]
            for row in way.database.rows(
                f"SELECT service FROM {table} WHERE service <> 'neighbour'"  # noqa: S608  # fixed names
            )
        }
        assert found == set(names), table
    assert way.differences() == []


def test_numbers_at_their_limits(way: WholeWay) -> None:
    latencies = [
        "0",
        "-0.0",
        "0e-999",
        "5e-324",
        "1e-9",
        "0.1",
        "1e300",
        "1.7976931348623157e308",
        "98765432109876543210987",
    ]
    ids = ["0", "-0.0", "1e5", "12.50", "9" * 60, "1E400"]
    values = [
        as_json(good(service=f"latency {n}"))[:-1] + f', "latency_ms": {text}}}'.encode()
        for n, text in enumerate(latencies)
    ]
    values += [
        as_json(good(service=f"id {n}"))[:-1] + f', "user_id": {text}}}'.encode()
        for n, text in enumerate(ids)
    ]
    way.send(Outgoing(n % 6, value) for n, value in enumerate(values))
    way.start()
    way.wait_settled()
    assert way.database.rows("SELECT reason, detail FROM analytics_dead_letters") == []
    rows = dict(
        way.database.rows(
            "SELECT service, latency_ms FROM analytics_events WHERE service LIKE 'lat%%'"
        )
    )
    assert rows == {f"latency {n}": float(text) for n, text in enumerate(latencies)}
    rows = dict(
        way.database.rows("SELECT service, user_id FROM analytics_events WHERE service LIKE 'id%%'")
    )
    assert rows == {f"id {n}": text for n, text in enumerate(ids)}
    assert way.differences() == []


def test_a_sum_beyond_all_numbers_does_not_stop_the_worker(way: WholeWay) -> None:
    huge = as_json(good(service="huge", latency_ms=1.7e308))
    way.send([Outgoing(0, huge)] * 3 + [Outgoing(0, as_json(good(message="after")))])
    worker = way.start()
    way.wait_settled()
    way.send([Outgoing(0, huge), Outgoing(0, as_json(good(message="after")))])
    way.wait_settled()
    assert neighbours(way) == ["after", "after"]
    rows = way.database.rows(
        "SELECT total_requests, latency_mean_ms FROM analytics_metrics_1min WHERE service = 'huge'"
    )
    assert rows == [(4, 1.7e308)]
    assert worker.terminate() == 0


def test_a_batch_that_fails_for_its_own_sake(way: WholeWay) -> None:
    """The database refuses single rows: they become dead letters, whatever they were together with."""
    way.database.execute("ALTER TABLE analytics_events ADD CHECK (message NOT LIKE 'poison%%')")
    poison = [as_json(good(service="bad", message=f"poison {n}")) for n in range(4)]
    # Alone in its partition; first and last of many; between dead letters; two in a row.
    way.send([Outgoing(0, poison[0])])
    way.send([Outgoing(1, v) for v in (poison[1], *plain(40), poison[2])])
    way.send([Outgoing(2, v) for v in (b"bad", poison[3], b"bad", b"bad")])
    way.send([Outgoing(3, v) for v in (*plain(5), poison[0], poison[1], *plain(5), b"bad")])
    worker = way.start()
    way.wait_settled()

    rows = way.database.rows("SELECT reason, raw_value FROM analytics_dead_letters")
    wanted = [("processing_failed", poison[n]) for n in (0, 1, 2, 3, 0, 1)]
    wanted += [("invalid_json", b"bad")] * 4
    assert sorted(rows_as_bytes(rows)) == sorted(wanted)
    assert len(neighbours(way)) == 50
    assert way.database.rows("SELECT sum(total_requests) FROM analytics_metrics_1hour") == [(50,)]
    worker.expect(6, "stacklens_events_dead_lettered_total", reason="processing_failed")
    worker.expect(len(way.sent), "stacklens_events_consumed_total")
    # And it goes on.
    way.send([Outgoing(n, v) for n, v in enumerate(plain(6))])
    way.wait_settled()
    assert len(neighbours(way)) == 56
    assert worker.terminate() == 0


def plain(count: int) -> list[bytes]:
    """Good events of the neighbour."""
    return [as_json(good(message=f"plain {number}")) for number in range(count)]
