"""Event timestamps: ISO 8601 text or an epoch number, to microseconds since the epoch, UTC."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US
_MICROSECOND: Final = timedelta(microseconds=1)
# What a datetime (and so a row) can hold: years 1 to 9999.
MIN_TIMESTAMP_US: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
MAX_TIMESTAMP_US: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND

# Numbers from here on are milliseconds (as seconds: the year 5138).
MILLISECONDS_FROM: Final = 10**11
# Beyond any date in either unit; exact arithmetic is pointless from here on.
_ABSURD: Final = 1e17
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

# What datetime.fromisoformat of Python 3.11 reads, less what is not ISO 8601 (any character as
# separator), plus lower-case t and z and 24:00 as the end of a day.
_ISO: Final = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}|[0-9]{4}-W[0-9]{2}(?:-[0-9])?|[0-9]{4}W[0-9]{2,3})"
    r"(?:[Tt ]"
    r"(?:(?P<midnight>24(?::?00(?::?00(?:[.,]0+)?)?)?)|"
    r"(?P<time>[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?|[0-9]{2}(?:[0-9]{2}(?:[.,][0-9]+)?)?)?))"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-5][0-9](?::?[0-5][0-9])?)?)?"
    r")?"
)


def parse_iso(text: str, default_tz: tzinfo) -> int:
    """Microseconds since the epoch of an ISO 8601 text; ValueError when it is not one.

    A text without zone is local time of ``default_tz``, its first occurrence when it is ambiguous.
    Digits beyond microseconds are cut. ``24:00:00`` is the next midnight. The result may lie
    outside of the years 1 to 9999 by an offset.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"not an ISO 8601 time: {text[:40]!r}")
    date, midnight, time, zone = match.group("date", "midnight", "time", "zone")
    clock = "00:00" if midnight or not time else time
    moment = datetime.fromisoformat(f"{date}T{clock}{(zone or '').upper()}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=default_tz, fold=0)
    if midnight:
        try:
            moment += timedelta(days=1)  # wall-clock arithmetic: the next local midnight
        except OverflowError:
            raise ValueError("the day after the last day of the calendar") from None
    return (moment - EPOCH) // _MICROSECOND


def parse_epoch(text: str) -> int:
    """Microseconds since the epoch of the text of a JSON number of seconds or milliseconds.

    Seconds below 1e11, milliseconds from there on; exact, cut beyond microseconds. Any finite
    number has a result, however far from now. ValueError when it is infinite as a float64.
    """
    approximate = float(text)
    if approximate in (float("inf"), float("-inf")):
        raise ValueError("infinite")
    if abs(approximate) >= _ABSURD:
        return int(approximate)
    if approximate == 0.0:  # also what underflows: an exponent may have any number of digits
        return 0
    number = Decimal(text)
    scale = 3 if number >= MILLISECONDS_FROM else 6
    return int(number.scaleb(scale, _EXACT))
