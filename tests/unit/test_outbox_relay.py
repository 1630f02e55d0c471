"""What is published together: never two steps of one episode, for a client that tries again may swap them.

And the end of a producer that still holds messages because the broker is away.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError

from analytics_service.adapters.timescale.alert_outbox import OutboxMessage
from analytics_service.alerting.outbox_relay import OutboxRelay, turns
from analytics_service.config import load_settings


def messages(keys: str) -> list[OutboxMessage]:
    """A message for each letter, which is its key."""
    return [OutboxMessage(number, key.encode(), b"{}") for number, key in enumerate(keys)]


def test_a_key_comes_again_only_in_the_next_turn() -> None:
    cut = ["".join(each.key.decode() for each in turn) for turn in turns(messages("abacca"))]
    assert cut == ["abc", "ac", "a"]
    assert turns([]) == []
    # Many alerts that fire at once are one turn; those that became pending and fired in one look are two.
    assert len(turns(messages("abcdefgh"))) == 1
    assert len(turns(messages("aabbccdd"))) == 2


@given(st.text("abcde", max_size=40))
def test_nothing_is_lost_and_each_key_keeps_its_order(keys: str) -> None:
    cut = turns(messages(keys))
    published = [each.id for turn in cut for each in turn]
    assert sorted(published) == list(range(len(keys)))
    for key in set(keys):
        of_key = [number for number in published if keys[number] == key]
        assert of_key == sorted(of_key)
    for turn in cut:
        assert len({each.key for each in turn}) == len(turn)


class Holding:
    """A producer that says what the library says when it cannot get rid of its messages."""

    closed = 0

    def close(self, timeout: float) -> None:
        """In vain."""
        assert timeout > 0
        self.closed += 1
        raise KafkaTimeoutError("Timeout waiting for future")


def test_a_producer_that_holds_messages_does_not_stop_the_look_at_the_rules() -> None:
    holding = Holding()
    relay = OutboxRelay(load_settings({}, env_file=None), lambda *_: holding)
    assert relay.producer() is holding
    relay.close()
    relay.close()
    assert holding.closed == 1
