"""What is new does not wait for what is being retried: commented cases."""

from __future__ import annotations

from analytics_service.domain.episodes import Told
from analytics_service.domain.notifications import decide
from tests.unit.test_notifications import PACE, episode, pending, storm, told

TRIED = Told("firing", 2, "trying", next_try_s=600)


def test_a_new_alert_of_a_service_does_not_wait_for_one_that_is_retried() -> None:
    """a was tried at 2, and is again at 600; b fires at 20 and is told at 21; a follows."""
    alerts = [episode("a"), episode("b", severity="critical", metric="other", since_s=20)]
    known = {"a": TRIED}
    early = decide(alerts, known, [], {}, 20.5, PACE)
    assert (early.groups, early.next_s) == ((), 21.0)
    assert early.withheld == {"a": "waiting", "b": "waiting"}
    due = decide(alerts, known, [], {}, 21.0, PACE)
    assert told(due) == [("api", [("b", "firing")])]
    assert (due.next_s, due.withheld) == (600.0, {"a": "waiting"})
    later = decide(alerts, known | {"b": Told("firing", 21)}, [], {"api": 21.0}, 600.0, PACE)
    assert told(later) == [("api", [("a", "firing")])]


def test_a_new_alert_goes_with_one_whose_time_to_be_retried_has_come() -> None:
    alerts = [episode("a"), episode("b", since_s=599.5)]
    together = decide(alerts, {"a": TRIED}, [], {}, 600.0, PACE)
    assert told(together) == [("api", [("a", "firing"), ("b", "firing")])]


def test_each_attempt_that_failed_waits_for_its_own_time() -> None:
    alerts = [episode("a"), episode("b", since_s=20)]
    known = {"a": TRIED, "b": Told("firing", 21, "trying", next_try_s=23)}
    early = decide(alerts, known, [], {}, 22.0, PACE)
    assert (early.groups, early.next_s) == ((), 23.0)
    assert told(decide(alerts, known, [], {}, 23.0, PACE)) == [("api", [("b", "firing")])]


def test_a_new_alert_still_waits_for_company_and_for_the_interval() -> None:
    alerts = [episode("a"), episode("b", since_s=20)]
    company = decide(alerts, {"a": TRIED}, [], {}, 21.0, PACE, pending=[pending("c", 25)])
    assert (company.groups, company.next_s) == ((), 26.0)
    interval = decide(alerts, {"a": TRIED}, [], {"api": 10.0}, 21.0, PACE)
    assert (interval.groups, interval.next_s) == ((), 70.0)


def test_an_end_does_not_wait_for_another_alert_that_is_retried() -> None:
    alerts = [episode("a"), episode("b", "resolved", since_s=20)]
    known = {"a": TRIED, "b": Told("firing", 5)}
    assert told(decide(alerts, known, [], {}, 21.0, PACE)) == [("api", [("b", "resolved")])]


def test_the_digest_of_a_storm_does_not_wait_for_an_old_message() -> None:
    """One was tried at 2, and is again at 600; 20 services break at 20: quiet until 23."""
    alerts = [episode("old", service="old"), *storm(20, first_s=20.0)]
    known = {"old": TRIED}
    assert decide(alerts, known, [], {}, 22.0, PACE).next_s == 23.0
    digest = decide(alerts, known, [], {}, 23.0, PACE)
    assert (len(digest.groups), digest.is_digest, digest.next_s) == (20, True, 600.0)
    assert digest.withheld == {"old": "waiting"}


def test_a_new_alert_does_not_wait_for_a_digest_that_is_retried() -> None:
    """Twenty services in a digest that is tried again at 600; another one breaks at 20, and is told at 21."""
    alerts = storm(20)
    known = {each.episode_id: TRIED for each in alerts}
    decision = decide([*alerts, episode("new", since_s=20)], known, [], {}, 21.0, PACE)
    assert (told(decision), decision.is_digest) == ([("api", [("new", "firing")])], False)
    assert decide(alerts, known, [], {}, 600.0, PACE).is_digest
