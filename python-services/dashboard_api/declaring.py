"""A query of which every parameter is declared by reading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from werkzeug.datastructures import MultiDict

from dashboard_api.errors import invalid_parameters

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Declared:
    """A query parameter as the API's description shows it; `schema` is JSON Schema."""

    name: str
    doc: str
    schema: Mapping[str, object]
    required: bool = False


class DeclaredQuery:
    """The query of one request: what is known of it so far, and what is wrong with it."""

    def __init__(self, given: MultiDict[str, str], now: datetime) -> None:
        self.given = given
        self.now = now
        self.problems: dict[str, str] = {}
        self.declared: dict[str, Declared] = {}

    def parsed(self, name: str, parse: Callable[[str], T], default: T, declared: Declared) -> T:
        """`name`: whatever `parse` makes of it, which raises ValueError saying what is allowed."""
        self.declare(declared)
        return self.single(name, parse, default)

    def has(self, name: str) -> bool:
        """Whether `name` is given."""
        return name in self.given

    def refuse(self, name: str, why: str) -> None:
        """Note that `name` cannot be used, unless something was found about it before."""
        self.problems.setdefault(name, why)

    def check(self) -> None:
        """Raise Problem 400 if anything is wrong, unknown parameters included."""
        for name, values in self.given.lists():
            if name not in self.declared:
                allowed = ", ".join(self.declared) or "none"
                self.problems[name] = f"is not a parameter here; there are: {allowed}"
            elif any("\0" in value for value in values):
                self.problems[name] = "must not contain a NUL character"
        if self.problems:
            raise invalid_parameters(self.problems)

    def declare(self, declared: Declared) -> None:
        """Note a parameter that is about to be read."""
        self.declared[declared.name] = declared

    def single(self, name: str, parse: Callable[[str], T], default: U) -> T | U:
        """What `parse` makes of `name`, which may be given once; it raises ValueError saying what is allowed."""
        values = self.given.getlist(name)
        if not values:
            return default
        try:
            if len(values) > 1:
                raise ValueError("must be given once")
            return parse(values[0])
        except ValueError as error:
            self.problems[name] = str(error)
            return default
