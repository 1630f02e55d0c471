"""The judge of alerts under faults notices: good records pass, and each way of doctoring them is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.alerts.judge import figures, judge
from tests.faults.alerts.judge_told import repeats
from tests.faults.alerts.records import (
    Alert,
    Delivery,
    Hush,
    Records,
    Rule,
    Seen,
    Spell,
    Step,
    Telling,
)
from tests.faults.alerts.timeline import Outbreak

RULE = Rule("r", "critical", 3, 5, ("slack", "pagerduty"))
"""Trouble from 100 to 200: pending at 102, active at 105, taken on at 120, resolved at 210."""
STEPS = (
    Step("t1", "e1", 1, 1, "inactive", "pending", 102.0),
    Step("t2", "e1", 1, 2, "pending", "active", 105.0),
    Step("t3", "e1", 1, 3, "active", "acknowledged", 120.0),
    Step("t4", "e1", 1, 4, "acknowledged", "resolved", 210.0),
)
ALERT = Alert(1, "e1", "r", "s", "resolved", 102.0, 105.0, 210.0)
TELLINGS = (
    Telling("slack", 1, "firing", 106.0),
    Telling("pagerduty", 1, "firing", 106.0, "key"),
    Telling("pagerduty", 1, "acknowledged", 121.0, "key"),
    Telling("slack", 1, "over", 211.0),
    Telling("pagerduty", 1, "over", 211.0, "key"),
)
OUTBREAK = Outbreak("s", True, 100.0, 101.0, 200.0, 203.0)
SEEN = (Seen(1, "r", "s", 102.0, None), Seen(1, "r", "s", 102.0, 105.0))


def records(**changes: Any) -> Records:
    """One episode in which all went well, with some changes."""
    given: dict[str, Any] = {
        "rules": (RULE,),
        "alerts": (ALERT,),
        "history": STEPS,
        "topic": STEPS,
        "deliveries": (),
        "tellings": TELLINGS,
        "outbreaks": (OUTBREAK,),
        "seen": SEEN,
    }
    return Records(**(given | changes))


def without(channel: str, kind: str | None = None) -> tuple[Telling, ...]:
    """What was told, but for this."""
    return tuple(t for t in TELLINGS if t.channel != channel or kind not in (None, t.kind))


def untold(reason: str, **changes: Any) -> Records:
    """Slack was told nothing, and that is why."""
    row = Delivery("e1", "slack", "firing", "withheld", reason)
    return records(deliveries=(row,), tellings=without("slack"), **changes)


def test_good_records_are_good() -> None:
    assert list(judge(records())) == []


@pytest.mark.parametrize(
    ("doctored", "told"),
    [
        # --- the history
        (lambda: records(history=(STEPS[0], STEPS[1], STEPS[3])), "sequences [1, 2, 4]"),
        (lambda: records(history=(*STEPS, STEPS[1])), "sequences [1, 2, 2, 3, 4]"),
        (lambda: records(history=STEPS[1:]), "begins as pending"),
        (
            lambda: records(history=(*STEPS[:3], replace(STEPS[3], to_status="active"))),
            "acknowledged -> active",
        ),
        (
            lambda: records(history=(*STEPS[:3], replace(STEPS[3], from_status="active"))),
            "acknowledged, and then from active",
        ),
        (
            lambda: records(history=(*STEPS[:3], replace(STEPS[3], at_s=119.0))),
            "step 4 is older than the one before",
        ),
        (lambda: records(history=STEPS[:3]), "is acknowledged although everything is over"),
        (lambda: records(alerts=()), "has a history and no alert"),
        (lambda: records(history=()), "has no history"),
        (lambda: records(alerts=(replace(ALERT, active_s=104.0),)), "fired at 104.0, at 105.0"),
        (lambda: records(alerts=(replace(ALERT, resolved_s=None),)), "was resolved at None"),
        (lambda: records(alerts=(replace(ALERT, pending_s=101.0),)), "was pending since 101.0"),
        (lambda: records(rules=(replace(RULE, duration_s=4),)), "fired after 3.000 s, not 4"),
        (lambda: records(rules=()), "is of no rule that there was"),
        (
            lambda: records(alerts=(ALERT, replace(ALERT, alert_id=2, episode_id="e2"))),
            "alerts 1 and 2 were open at once",
        ),
        # --- nothing restarted
        (lambda: records(seen=(Seen(1, "r", "s", 101.0, None), *SEEN)), "pending since 101.0, later"),
        (lambda: records(seen=(*SEEN, Seen(1, "r", "s", 102.0, 106.0))), "active since 105.0, later"),
        (lambda: records(seen=(Seen(2, "r", "s", 102.0, 105.0),)), "was seen active and is gone"),
        (lambda: records(seen=(Seen(1, "r", "s", 101.0, None),)), "was seen with other times"),
        # --- the topic
        (lambda: records(topic=STEPS[:3]), "the topic never told"),
        (lambda: records(topic=(STEPS[1], STEPS[0], *STEPS[2:])), "the topic told [2, 1, 3, 4]"),
        (lambda: records(topic=(*STEPS, replace(STEPS[3], transition_id="t9"))), "history does not"),
        (lambda: records(topic=(*STEPS[:3], replace(STEPS[3], sequence=5))), "the topic tells"),
        # --- what was told
        (lambda: records(tellings=without("slack")), "told to nobody, without a reason: []"),
        (lambda: records(tellings=without("slack", "over")), "end was not the last that was told"),
        (lambda: records(tellings=without("pagerduty", "firing")), "before the trigger"),
        (
            lambda: records(tellings=(*TELLINGS, Telling("slack", 7, "firing", 106.0))),
            "alert 7, which there is not",
        ),
        (
            lambda: records(tellings=(*TELLINGS, Telling("slack", 1, "firing", 212.0))),
            "its end was not the last",
        ),
        (
            lambda: records(
                tellings=(
                    *TELLINGS,
                    Telling("slack", 1, "firing", 256.0),
                    Telling("slack", 1, "over", 257.0),
                )
            ),
            "was told as firing long after its end",
        ),
        (
            lambda: records(tellings=(Telling("slack", 1, "firing", 103.0), *TELLINGS)),
            "was told before it fired",
        ),
        (
            lambda: records(tellings=(*TELLINGS, Telling("slack", 1, "over", 213.0))),
            "told twice, and nothing was wrong",
        ),
        (
            lambda: records(tellings=(*TELLINGS[:4], replace(TELLINGS[4], key="other"))),
            "alert 1 has 2 keys",
        ),
        (lambda: records(unreadable=["slack: what?"]), "slack: what?"),
        (lambda: untold("silenced"), "because of ['silenced'] after 105.0 s, which is not so"),
        (lambda: untold("muted"), "because of ['muted']"),
        (
            lambda: untold(
                "over before it was told",
                history=(*STEPS[:2], Step("t3", "e1", 1, 3, "active", "resolved", 210.0)),
            ),
            "because of ['over before it was told'] after 105.0 s",
        ),
        (lambda: untold("acknowledged", history=STEPS[:2]), "because of ['acknowledged']"),
        # --- the timeline
        (lambda: records(outbreaks=()), "began without an outbreak"),
        (lambda: records(outbreaks=(OUTBREAK, replace(OUTBREAK, service="q"))), "went unnoticed"),
        (lambda: records(outbreaks=(replace(OUTBREAK, began_s=103.0),)), "began without an outbreak"),
        (lambda: records(outbreaks=(replace(OUTBREAK, ended_s=206.0),)), "while it went on"),
        (
            lambda: records(seen=(Seen(9, "r", "s", 101.0, None), *SEEN)),
            "at {1: 102.0, 9: 101.0}",
        ),
        (
            lambda: records(
                alerts=(ALERT, replace(ALERT, alert_id=2, episode_id="e2", pending_s=150.0))
            ),
            "at {1: 102.0, 2: 150.0}",
        ),
    ],
)  # fmt: skip
def test_doctored_records_are_not(doctored: Callable[[], Records], told: str) -> None:
    said = list(judge(doctored()))
    assert any(told in line for line in said), said


@pytest.mark.parametrize(
    "excused",
    [
        untold("silenced", silences=(Hush("s", 90.0, 300.0),)),
        untold("muted", rules=(replace(RULE, severity="warning"),)),
        untold("acknowledged"),
        # What came late is told as over only, and triggered first where episodes are kept.
        records(tellings=without("slack", "firing")),
        # A trigger that may have arrived is ended to be safe.
        records(
            deliveries=(Delivery("e1", "pagerduty", "firing", "replaced", None),),
            tellings=(*without("pagerduty"), TELLINGS[4]),
        ),
        # And acknowledged, if somebody has taken it on meanwhile.
        records(
            deliveries=(Delivery("e1", "pagerduty", "firing", "replaced", None),),
            tellings=without("pagerduty", "firing"),
        ),
        # Trouble that was too short to be noticed for certain.
        records(outbreaks=(OUTBREAK, Outbreak("s", False, 300.0, 301.0, 302.0, 303.0))),
    ],
)
def test_what_is_allowed(excused: Records) -> None:
    assert list(judge(excused)) == []


def test_a_repetition_is_excused_by_a_fault_near_it() -> None:
    again = Telling("slack", 1, "firing", 140.0)
    for spell, excused in (
        (Spell("a notifier killed", 120.0, 125.0), True),
        (Spell("a notifier killed", 60.0, 62.0), False),
        (Spell("a notifier killed", 141.0, 145.0), False),
    ):
        found = records(tellings=(*TELLINGS, again), spells=(spell,))
        assert [(each.telling, each.excused) for each in repeats(found)] == [(again, excused)]
        assert [line for line in judge(found) if "told twice" in line] == (
            [] if excused else [f"told twice, and nothing was wrong: {again}"]
        )


def test_two_episodes_never_share_a_key() -> None:
    other = [replace(t, alert_id=2) for t in TELLINGS if t.channel == "pagerduty"]
    said = list(judge(records(tellings=(*TELLINGS, *other))))
    assert "pagerduty: alerts 1 and 2 share a key" in said


def test_figures_count() -> None:
    again = Telling("slack", 1, "firing", 140.0)
    found = figures(records(tellings=(*TELLINGS, again), topic=(*STEPS, STEPS[0])))
    assert found == {
        "outbreaks": 1,
        "outbreaks that had to be noticed": 1,
        "episodes": 1,
        "transitions": 4,
        "published twice": 1,
        "told by pagerduty": 3,
        "told by slack": 3,
        "told twice by pagerduty": 0,
        "told twice by slack": 1,
    }
