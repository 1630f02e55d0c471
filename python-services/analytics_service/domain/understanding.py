"""From what msgspec read to events: timestamps, levels, addresses, other names of fields.

In place, and for a whole batch at once where that is faster. What is odd is left to the caller.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np

from analytics_service.domain.addresses import all_dotted_quads, canonical_address
from analytics_service.domain.events import EventRules
from analytics_service.domain.fields import LEVELS
from analytics_service.domain.moments import read_moments
from analytics_service.domain.wire import NOT_ENRICHED

# The spellings that are met in practice; parse_event knows the others.
_SPELLINGS: Final = {
    spelling(name): level
    for name, level in LEVELS.items()
    for spelling in (str.lower, str.upper, str.capitalize)
}
_canonical_address: Final = lru_cache(maxsize=32_768)(canonical_address)


def understand(events: list[Any], rules: EventRules, now_us: int) -> set[int]:
    """Turn what was read into events, in place; the indexes of those that are odd in any way."""
    moments = read_moments([event.timestamp_us for event in events], rules.default_tz)
    first, last = rules.allowed_span(now_us)
    odd = set(np.flatnonzero((moments < first) | (moments > last)).tolist())
    for i, (event, moment) in enumerate(zip(events, moments.tolist(), strict=True)):
        try:
            event.timestamp_us = moment
            event.level = _SPELLINGS[event.level]
            if (
                event.business_risk_score is not None
                or event.ip_address is not None
                or event.enriched is not None
                or event.geo_country_name is not None
                or event.geo_country_code is not None
            ):
                _merge_other_names(event)
            if event.user_id.__class__ is int:
                event.user_id = _json_text(event.user_id)
            if not event.latency_ms and event.latency_ms is not None:
                event.latency_ms = 0.0  # from -0.0
            if not event.risk_score and event.risk_score is not None:
                event.risk_score = 0.0
        except (KeyError, ValueError):
            odd.add(i)
    return odd | _make_addresses_canonical(events)


def _make_addresses_canonical(events: list[Any]) -> set[int]:
    """Rewrite the addresses in place; the indexes of the events whose address is none."""
    texts = [event.source_ip for event in events if event.source_ip is not None]
    wrong: set[int] = set()
    if all_dotted_quads(texts):
        return wrong
    for i, event in enumerate(events):
        if event.source_ip is not None:
            try:
                event.source_ip = _canonical_address(event.source_ip)
            except ValueError:
                wrong.add(i)
    return wrong


def _json_text(number: int) -> str:
    """The text of an int as it was written; ValueError when that cannot be told."""
    if number == 0:
        raise ValueError("0 or -0")
    return str(number)


def _merge_other_names(event: Any) -> None:
    """Fill the fields that came under their other names."""
    enriched = event.enriched or NOT_ENRICHED
    if event.risk_score is None:
        event.risk_score = event.business_risk_score
    if event.user_id is None:
        event.user_id = enriched.user_id
    if event.request_id is None:
        event.request_id = enriched.request_id
    if event.source_ip is None:
        event.source_ip = enriched.ip_address if event.ip_address is None else event.ip_address
    if event.geo_country is None:
        first, second = event.geo_country_name, event.geo_country_code
        event.geo_country = second if first is None else first
