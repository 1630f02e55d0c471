"""What one worker looked up is there for the others, whole or not at all, and whoever dies holds nobody up."""

from __future__ import annotations

from dashboard_api.shared_newest import CLAIMED_S, STILL_ASKED_S, SharedNewest


def shared(now_s: list[float]) -> SharedNewest:
    return SharedNewest(100, lambda: now_s[0])


def test_the_newest_is_read() -> None:
    newest = shared([0.0])
    assert (newest.read(), newest.at_s()) == (None, 0.0)
    newest.write(3.0, b"three")
    assert newest.read() == (3.0, b"three")
    newest.write(2.0, b"two")
    assert newest.read() == (3.0, b"three")
    newest.write(4.0, b"")
    assert newest.read() == (4.0, b"")


def test_what_is_too_long_is_left_out() -> None:
    newest = shared([0.0])
    newest.write(1.0, b"x" * 100)
    newest.write(2.0, b"y" * 101)
    assert newest.read() == (1.0, b"x" * 100)


def test_what_two_wrote_at_once_is_nothing() -> None:
    newest = shared([0.0])
    newest.write(1.0, b"one")
    memory = newest._memory  # as another process would write there
    memory[memory.find(b"one")] ^= 1
    assert newest.read() is None
    newest.write(2.0, b"two")
    assert newest.read() == (2.0, b"two")


def test_a_claim_is_given_back_or_runs_out() -> None:
    now_s = [10.0]
    newest = shared(now_s)
    assert [newest.claim(), newest.claim()] == [True, False]
    newest.give_back()
    assert newest.claim()
    now_s[0] += CLAIMED_S - 0.1
    assert not newest.claim()
    now_s[0] += 0.1
    assert newest.claim()


def test_how_often_it_is_asked_for() -> None:
    # asked at 10, 10.5, 10.6, 10.7, 10.8, 20: the fifth time 0.8 s after the first
    now_s = [10.0]
    newest = shared(now_s)
    found = []
    for now_s[0] in (10.0, 10.5, 10.6, 10.7, 10.8, 20.0):
        ago_s = newest.ask(7)
        assert ago_s is not None
        found.append(round(ago_s, 3))
    assert found == [10.0, 10.5, 10.6, 10.7, 0.8, 9.5]


def test_it_is_kept_for_one_until_that_one_is_not_asked_for_any_more() -> None:
    now_s = [10.0]
    newest = shared(now_s)
    for _ in range(5):
        newest.ask(7)
    assert newest.ask(8) is None
    assert [newest.is_asked_for(7), newest.is_asked_for(8)] == [True, False]
    now_s[0] += STILL_ASKED_S
    assert newest.ask(8) is None
    now_s[0] += 0.01
    assert not newest.is_asked_for(7)
    assert newest.ask(8) == now_s[0]
    assert newest.is_asked_for(8)
    assert newest.ask(7) is None
