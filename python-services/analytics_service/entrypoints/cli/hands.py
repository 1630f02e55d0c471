"""Options of commands that leave a name and a comment behind."""

from __future__ import annotations

import getpass
import os
from typing import Any

import click

from analytics_service.adapters.timescale.audit import LONGEST_ACTOR, LONGEST_COMMENT
from analytics_service.domain.texts import is_storable


class Text(click.ParamType):
    """A text that a table can hold: not empty, at most so many characters."""

    name = "text"

    def __init__(self, longest: int) -> None:
        self._longest = longest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text; a usage error that says what is wrong with it."""
        text = str(value)
        if not is_storable(text):
            # An argument that is not UTF-8 arrives with lone surrogates.
            self.fail("is not UTF-8", param, ctx)
        if not 1 <= len(text) <= self._longest:
            self.fail(f"must have 1 to {self._longest} characters", param, ctx)
        return text


def login_name() -> str:
    """The login name, or the number of a user without one (as in some containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError: up to Python 3.12
        return f"uid {os.getuid()}"


by_option = click.option(
    "--by",
    type=Text(LONGEST_ACTOR),
    default=login_name,
    metavar="NAME",
    help="Who does it; default: your login name.",
)
comment_option = click.option(
    "--comment", type=Text(LONGEST_COMMENT), metavar="TEXT", help="Why, for those who look later."
)
