"""Evaluates the alert rules, as the one worker that holds the lease."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg2.extensions import connection, cursor

from analytics_service.adapters.timescale.alert_rules import enabled_rules
from analytics_service.adapters.timescale.alert_store import read_states, store
from analytics_service.adapters.timescale.leases import Lease, fence
from analytics_service.adapters.timescale.observations import (
    Clock,
    known_services,
    read_clock,
    read_windows,
)
from analytics_service.domain.evaluation import Change, View, WindowRows, changes
from analytics_service.domain.rules import EVERY_SERVICE, Rule
from analytics_service.domain.windows import Window

logger = logging.getLogger(__name__)

# While events wait for longer than this to be stored, what is missing says nothing and what is there is old: every
# alert stays as it is, and none fires about the past.
BEHIND_S = 10.0
LOGGED = 100


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found: rules, alerts by state afterwards, transitions by the status they reached.

    `behind`: nothing was judged, because events wait to be stored.
    """

    rules: int
    states: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    behind: bool = False


def evaluate(conn: connection, lease: Lease, topic: str, windows: Sequence[Window]) -> Looked:
    """One look at all rules, in one transaction under the lease; commits.

    Raises LeaseLost, psycopg2's UniqueViolation when a person acted on an alert at the same moment, and other psycopg2
    errors; nothing is written then.
    """
    with conn, conn.cursor() as cur:
        fence(cur, lease)
        rules = enabled_rules(cur)
        held = read_states(cur)
        clock = read_clock(cur, topic)
        if clock.now_s - clock.settled_s > BEHIND_S:
            return Looked(
                len(rules), Counter(each.state.status for each in held.values()), behind=True
            )
        view = View(clock.now_s, _windows(cur, rules, windows, clock), _known(cur, rules))
        found = list(changes(rules, held, view))
        store(cur, found)
        after = {key: str(each.state.status) for key, each in held.items()}
        after |= {change.key: str(change.after.status) for change in found}
        reached = Counter(str(told.to_status) for change in found for told in change.transitions)
    _log(found)
    return Looked(len(rules), Counter(after.values()), reached)


def _log(found: Sequence[Change]) -> None:
    """A line for each transition, up to so many: the rest is in the history, and the next look must not wait for it."""
    told = [(change.key, transition) for change in found for transition in change.transitions]
    for key, transition in told[:LOGGED]:
        logger.info("alert %s of %s: %s -> %s", *key, transition.from_status, transition.to_status)
    if len(told) > LOGGED:
        logger.info("alerts: %d more transitions at the same moment", len(told) - LOGGED)


def _windows(
    cur: cursor, rules: Sequence[Rule], windows: Sequence[Window], clock: Clock
) -> dict[str, WindowRows]:
    """The rows that the rules look at, by window size; sizes that are not kept are left out."""
    found = {}
    for window in windows:
        mine = [rule for rule in rules if rule.window_size == window.name]
        if mine:
            services = {rule.service for rule in mine}
            found[window.name] = read_windows(
                cur,
                window,
                clock,
                sorted({rule.metric_name for rule in mine}),
                None if EVERY_SERVICE in services else services,
            )
    return found


def _known(cur: cursor, rules: Sequence[Rule]) -> set[str]:
    """The services whose absence somebody wants to hear of."""
    if any(rule.no_data_policy == "alert" for rule in rules):
        return known_services(cur)
    return set()
