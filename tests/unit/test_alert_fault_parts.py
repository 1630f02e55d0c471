"""The parts of the alert fault suite that only compute: plan, courses, the mix of events, what messages say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes.smtp import Mail
from tests.fakes.webhooks import Request
from tests.faults.alerts.plan import DURATIONS_S, FIRST_S, Kind, random_plan
from tests.faults.alerts.read_told import of_mail, of_pagerduty, of_slack
from tests.faults.alerts.stream import Mix
from tests.faults.alerts.timeline import PATIENCE_S, Course, courses

MINUTE = 60_000.0
"""The beginning of one."""


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_is_its_seed_s_and_within_bounds(seed: int) -> None:
    plan = random_plan(seed, 180.0, list(Kind))
    assert plan == random_plan(seed, 180.0, list(Kind))
    assert plan != random_plan(seed + 1, 180.0, list(Kind))
    times = [fault.at_s for fault in plan]
    assert times == sorted(times)
    assert FIRST_S <= times[0] <= times[-1] < 180.0
    # Every kind once before any comes twice.
    assert len({fault.kind for fault in plan[: len(Kind)]}) == len(Kind)
    for fault in plan:
        least, most = DURATIONS_S[fault.kind]
        assert least <= fault.duration_s <= most


def test_no_plan_without_kinds() -> None:
    with pytest.raises(ValueError, match="at least one kind"):
        random_plan(1, 60.0, [])


def course(*phases: tuple[float, float, bool]) -> Course:
    """Quiet for, sick for, must be noticed; the last of them for ever."""
    given = Course("s", iter([*phases, *[phases[-1]] * 9]))
    given.begin(0.0)
    return given


def test_an_outbreak_that_must_be_noticed_goes_on_until_it_is() -> None:
    one = course((5, 10, True))
    assert [one.advance(at_s, set(), 2) for at_s in (0.0, 4.9, 5.0)] == [False, False, True]
    # Ten seconds have passed, and one rule of two has fired; or nobody knows.
    assert one.advance(16.0, {"a"}, 2)
    assert one.advance(17.0, None, 2)
    assert not one.advance(18.0, {"a", "b"}, 2)
    (outbreak,) = one.outbreaks
    assert (outbreak.began_s, outbreak.ended_s, outbreak.must_fire) == (5.0, 18.0, True)
    # The next begins when the broker has the end of this one, and nothing is open any more.
    assert not one.advance(24.0, set(), 2)
    outbreak.well_s = 24.5
    assert not one.advance(25.0, {"a"}, 2)
    assert not one.advance(26.0, None, 2)
    assert one.advance(27.0, set(), 2)


def test_patience_ends() -> None:
    one = course((5, 10, True))
    one.advance(5.0, set(), 1)
    assert one.advance(15.0 + PATIENCE_S - 1, set(), 1)
    assert not one.advance(15.0 + PATIENCE_S, set(), 1)


def test_a_short_outbreak_ends_whoever_has_seen_it_and_a_course_can_be_finished() -> None:
    one = course((5, 2, False))
    assert [one.advance(at_s, set(), 1) for at_s in (5.0, 6.9, 7.0)] == [True, True, False]
    one.outbreaks[0].well_s = 7.5
    assert one.advance(12.0, set(), 1)
    one.finish()
    assert not one.is_quiet
    assert one.advance(13.0, set(), 1)
    assert not one.advance(14.0, set(), 1)
    assert one.is_quiet
    assert not one.advance(99.0, set(), 1)


def test_courses_are_their_seed_s() -> None:
    def phases(seed: int) -> list[tuple[float, float, bool]]:
        return [next(each.phases) for each in courses(seed, ["a", "b"]) for _ in range(5)]

    assert phases(3) == phases(3)
    assert phases(3) != phases(4)


def share(mix: Mix, minute: float) -> float:
    """Of errors among the events of a minute."""
    held = mix.minutes[int(minute)]
    return held.errors / (held.errors + held.good)


def test_a_minute_is_as_it_should_be_at_once() -> None:
    mix = Mix("s")
    for second in range(10):
        assert mix.missing(MINUTE + second, sick=False) == [(MINUTE + second, "info")]
    assert len(mix.missing(MINUTE + 10, sick=True)) == 21
    assert share(mix, MINUTE) > 0.6
    assert mix.missing(MINUTE + 11, sick=True) == [(MINUTE + 11, "error")]
    # Over the turn of the minute: the new one is sick from its first event on.
    mix.missing(MINUTE + 61, sick=True)
    assert share(mix, MINUTE + 60) == 1.0
    # Well again: both minutes are, also the one that is over.
    sent = mix.missing(MINUTE + 62, sick=False)
    assert {level for _, level in sent} == {"info"}
    assert {at_s // 60 for at_s, _ in sent} == {MINUTE // 60, MINUTE // 60 + 1}
    assert share(mix, MINUTE) <= 1 / 3
    assert share(mix, MINUTE + 60) <= 1 / 3


def request(path: str, body: dict[str, Any]) -> Request:
    """As a fake records it."""
    return Request(0.0, path, {}, json.dumps(body).encode(), 200)


def test_what_slack_is_told_is_read_line_by_line() -> None:
    texts = [
        "*[CRITICAL] a*\n*Since:* x\n<http://d/#/alerts/7|Alert details>",
        "*[RESOLVED] b*\n*Lasted:* x to y\n<http://d/#/alerts/8|Alert details>",
        "*Last 10 minutes:* requests/s 1",
    ]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in texts]
    blocks.append({"type": "context"})
    told = of_slack(request("/services/x", {"attachments": [{"blocks": blocks}]}))
    assert [(t.channel, t.alert_id, t.kind) for t in told] == [
        ("slack", 7, "firing"),
        ("slack", 8, "over"),
    ]


def test_what_a_mail_says_is_read_part_by_part() -> None:
    text = (
        "first line\r\n\r\n[CRITICAL] a\r\nSince: x\r\nDetails: http://d/#/alerts/7\r\n\r\n"
        "[RESOLVED] b\r\nLasted: x to y\r\nDetails: http://d/#/alerts/8\r\n"
    )
    content = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
    told = of_mail(Mail(0.0, "a@b", ("c@d",), content, False, None))
    assert [(t.channel, t.alert_id, t.kind) for t in told] == [
        ("email", 7, "firing"),
        ("email", 8, "over"),
    ]


@pytest.mark.parametrize(
    ("action", "kind"),
    [("trigger", "firing"), ("acknowledge", "acknowledged"), ("resolve", "over")],
)
def test_what_pagerduty_is_told(action: str, kind: str) -> None:
    body = {
        "event_action": action,
        "dedup_key": "k",
        "links": [{"href": "http://d/#/alerts/7"}, {"href": "http://d/#/services/a"}],
    }
    (told,) = of_pagerduty(request("/v2/enqueue", body))
    assert (told.channel, told.alert_id, told.kind, told.key) == ("pagerduty", 7, kind, "k")
