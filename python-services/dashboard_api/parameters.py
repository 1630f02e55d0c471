"""Reading query parameters strictly: all that cannot be used is named in one 400.

What a view reads is also what the API's description says about it: every method notes the parameter
as a `Declared`, so that `described(reads)` knows them all without a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from werkzeug.datastructures import MultiDict

from analytics_service.domain.times import EPOCH, parse_moment
from analytics_service.domain.windows import WINDOWS, Window, window_named
from dashboard_api.cursors import Cursor, parse_cursor
from dashboard_api.declaring import Declared, DeclaredQuery

__all__ = ["LARGEST_ID", "Declared", "Parameters", "described"]

LONGEST_SERVICE = 255
MOST_SERVICES = 500

LARGEST_ID = 2**63 - 1

_WINDOW_NAMES = tuple(window.name for window in WINDOWS)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_MOMENT = "ISO 8601 (without a zone: UTC), or relative such as -1h, -30m, -7d, or now."

T = TypeVar("T")


class Parameters(DeclaredQuery):
    """The query of one request. Read all of it, then call `check`."""

    def window(self, default: str = "1min") -> Window:
        """`window`: the name of a window."""

        def parse(text: str) -> Window:
            if text not in _WINDOW_NAMES:
                raise ValueError(f"must be one of {', '.join(_WINDOW_NAMES)}")
            return window_named(text)

        schema = {"type": "string", "enum": list(_WINDOW_NAMES), "default": default}
        self.declare(Declared("window", "Size of the windows.", schema))
        return self.single("window", parse, window_named(default))

    def moment(
        self, name: str, default: str | None = None, doc: str = "A moment."
    ) -> datetime | None:
        """`name`: a moment, see `parse_moment`."""

        def parse(text: str) -> datetime:
            return parse_moment(text, self.now)

        schema: dict[str, object] = {"type": "string"}
        if default is not None:
            schema["default"] = default
        self.declare(Declared(name, f"{doc} {_MOMENT}", schema))
        return self.single(name, parse, None if default is None else parse(default))

    def span(self, since: str, until: str = "now") -> tuple[datetime, datetime]:
        """`from` and `to` with these defaults, the former before the latter."""
        start = self.moment("from", since, "Start of the range, inclusive.")
        end = self.moment("to", until, "End of the range, exclusive.")
        assert start is not None
        assert end is not None
        if start >= end:
            self.refuse("from", "must be before `to`")
        return start, end

    def number(self, name: str, default: T, low: float, high: float, doc: str = "") -> float | T:
        """`name`: a decimal number from `low` to `high`."""

        def parse(text: str) -> float:
            if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
                raise ValueError(f"must be a number from {low:g} to {high:g}")
            return float(text)

        schema: dict[str, object] = {"type": "number", "minimum": low, "maximum": high}
        if default is not None:
            schema["default"] = default
        self.declare(Declared(name, doc, schema))
        return self.single(name, parse, default)

    def choice(self, name: str, allowed: Sequence[str], default: T, doc: str = "") -> str | T:
        """`name`: one of `allowed`."""

        def parse(text: str) -> str:
            if text not in allowed:
                raise ValueError(f"must be one of {', '.join(allowed)}")
            return text

        schema: dict[str, object] = {"type": "string", "enum": list(allowed)}
        if default is not None:
            schema["default"] = default
        self.declare(Declared(name, doc, schema))
        return self.single(name, parse, default)

    def choices(
        self, name: str, allowed: Sequence[str], default: Sequence[str], doc: str = ""
    ) -> list[str]:
        """`name`, repeated or a list with commas: some of `allowed`, each once."""
        schema = {
            "type": "array",
            "items": {"type": "string", "enum": list(allowed)},
            "default": list(default),
        }
        self.declare(Declared(name, f"{doc} Repeated, or a list with commas.", schema))
        values = [part for value in self.given.getlist(name) for part in value.split(",")]
        if any(value not in allowed for value in values):
            self.problems[name] = f"must be some of {', '.join(allowed)}"
        return list(dict.fromkeys(values)) or list(default)

    def text(self, name: str, longest: int, doc: str = "") -> str | None:
        """`name`: any text of 1 to `longest` characters; None when not given."""

        def parse(text: str) -> str:
            if not 1 <= len(text) <= longest:
                raise ValueError(f"must have 1 to {longest} characters")
            return text

        schema = {"type": "string", "minLength": 1, "maxLength": longest}
        self.declare(Declared(name, doc, schema))
        return self.single(name, parse, None)

    def format(self) -> str:
        """`format`: json or csv, for answers that are a list; the Accept header does as well."""
        return self.choice(
            "format", ("json", "csv"), "json", "csv: the list alone, as RFC 4180 says."
        )

    def integer(self, name: str, default: int, low: int, high: int, doc: str = "") -> int:
        """`name`: a whole number from `low` to `high`."""

        def parse(text: str) -> int:
            if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not low <= int(text) <= high:
                raise ValueError(f"must be a whole number from {low} to {high}")
            return int(text)

        schema = {"type": "integer", "minimum": low, "maximum": high, "default": default}
        self.declare(Declared(name, doc, schema))
        return self.single(name, parse, default)

    def services(self, name: str = "service") -> list[str] | None:
        """`name`, repeated or a list with commas: names of services; None when not given.

        A value with commas also stands for itself, since a service's name may hold any character.
        """
        items = {"type": "string", "minLength": 1, "maxLength": LONGEST_SERVICE}
        schema = {"type": "array", "items": items, "maxItems": MOST_SERVICES}
        doc = "Only these services: repeated, or a list with commas. Default: all."
        self.declare(Declared(name, doc, schema))
        if name not in self.given:
            return None
        found: dict[str, None] = {}
        for value in self.given.getlist(name):
            parts = [part for part in value.split(",") if part]
            if not parts:
                self.problems[name] = "must name a service"
            elif any(len(part) > LONGEST_SERVICE for part in parts):
                self.problems[name] = f"a service has at most {LONGEST_SERVICE} characters"
            found.update(dict.fromkeys(parts))
            if len(value) <= LONGEST_SERVICE:
                found[value] = None
        if len(found) > MOST_SERVICES:
            self.problems[name] = f"must name at most {MOST_SERVICES} services"
        return list(found)

    def cursor(self, window: Window, name: str = "cursor") -> Cursor | None:
        """`name`: the `next_cursor` of an answer about the same window."""

        def parse(text: str) -> Cursor:
            return parse_cursor(text, window)

        doc = "The next_cursor of the page before."
        self.declare(Declared(name, doc, {"type": "string"}))
        return self.single(name, parse, None)

    def before_id(self, name: str = "cursor") -> int | None:
        """`name`: the `next_cursor` of an answer whose rows are in the order of their ids."""

        def parse(text: str) -> int:
            if not re.fullmatch(r"[0-9]{1,19}", text) or not 1 <= int(text) <= LARGEST_ID:
                raise ValueError("must be the next_cursor of an earlier answer")
            return int(text)

        schema = {"type": "string", "pattern": "^[0-9]{1,19}$"}
        self.declare(Declared(name, "The next_cursor of the page before.", schema))
        return self.single(name, parse, None)


def described(reads: Callable[[Parameters], object]) -> list[Declared]:
    """The parameters that `reads` reads, found by letting it read an empty query.

    What it refuses for not being there is required.
    """
    query = Parameters(MultiDict(), EPOCH)
    reads(query)
    return [replace(one, required=name in query.problems) for name, one in query.declared.items()]
