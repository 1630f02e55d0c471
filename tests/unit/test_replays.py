"""The header of a replay, and works that hold replays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics_service.domain.event_columns import EventColumns
from analytics_service.domain.replays import HEADER, replay_header, replayed_letter
from analytics_service.ingest.recalled import Recalled
from analytics_service.ingest.work import DeadLetter, Part, Work, as_dead_letters
from tests.unit.ingest_support import part, session, users


@pytest.mark.parametrize("letter_id", [1, 17, 2**63 - 1])
def test_what_is_written_is_read(letter_id: int) -> None:
    assert replayed_letter([("other", b"x"), replay_header(letter_id)]) == letter_id


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"0",
        b"-1",
        b"1.0",
        b" 1",
        b"x",
        "\u0661".encode(),
        str(2**63).encode(),
        b"9" * 40,
    ],
)
def test_other_values_make_an_ordinary_message(value: bytes | None) -> None:
    assert replayed_letter([(HEADER, value)]) is None


def test_no_header_no_replay() -> None:
    assert replayed_letter([]) is None
    assert replayed_letter([("stacklens.reason", b"1")]) is None


def replaying(of: Part, replays: dict[int, int]) -> Part:
    """`of` with these replays, offset -> id of the letter."""
    letters = [
        DeadLetter(x.partition, x.offset, x.reason, x.detail, x.key, x.value, replays.get(x.offset))
        for x in of.letters
    ]
    return replace(of, replays=replays, letters=letters)


def test_left_out_messages_are_gone_and_their_offsets_stay_read() -> None:
    work = Work(
        session(),
        [
            replaying(part(0, [0, 1, 2], [3, 4]), {1: 11, 4: 14}),
            replaying(part(1, [1, 2]), {1: 21}),
        ],
        prepared=object(),
    )
    assert work.replays() == [(11, 0, 1), (14, 0, 4), (21, 1, 1)]

    work.leave_out({(0, 1), (0, 4)})

    assert users(work.all_events()) == ["0", "2", "1", "2"]
    assert [list(p.offsets) for p in work.parts] == [[0, 2], [1, 2]]
    assert [list(p.sources.values) for p in work.parts] == [
        [b"value 0", b"value 2"],
        [b"value 1", b"value 2"],
    ]
    assert [[x.offset for x in p.letters] for p in work.parts] == [[3], []]
    assert work.next_offsets() == {0: 5, 1: 3}
    assert [p.ignored for p in work.parts] == [2, 0]
    assert work.messages == 5
    assert work.replays() == [(21, 1, 1)]
    assert work.prepared is None


def test_leaving_out_decodes_forgotten_events_once() -> None:
    decoded = []

    def again() -> EventColumns:
        decoded.append(1)
        return part(0, range(500)).events.columns

    events = Recalled(part(0, range(500)).events.columns, again)
    of = replaying(replace(part(0, range(500)), events=events), {0: 1})
    work = Work(session(), [of])
    work.forget_events()
    work.leave_out({(0, 0)})
    assert users(work.all_events()) == [str(n) for n in range(1, 500)]
    assert len(decoded) == 1


def test_halves_share_the_replays_out() -> None:
    work = Work(session(), [replaying(part(0, [0, 1, 2, 3]), {0: 10, 3: 13})])
    assert [half.replays() for half in work.halves()] == [[(10, 0, 0)], [(13, 0, 3)]]


def test_a_replay_that_cannot_be_stored_is_still_a_replay() -> None:
    failed = as_dead_letters(replaying(part(0, [5, 6]), {6: 99}), "processing_failed", "why")
    assert [(x.offset, x.replay_of) for x in failed.letters] == [(5, None), (6, 99)]
