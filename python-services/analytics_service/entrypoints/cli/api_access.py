"""How commands reach the dashboard API: where it answers, and whom they log in as."""

from __future__ import annotations

import netrc
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from analytics_service.channel_settings import required_web_address
from analytics_service.config import load_settings
from analytics_service.entrypoints.cli.errors import CommandFailed

Login = tuple[str, str]  # name and password
Command = TypeVar("Command", bound=Callable[..., Any])


class FromEnvironmentOnly(click.Option):
    """An option that cannot be typed: a command line can be read by every user of the machine."""

    def add_to_parser(self, parser: object, ctx: click.Context) -> None:
        """Leave it out of the command line."""


class WebAddress(click.ParamType):
    """An http or https URL without user, query and fragment; no slash at its end."""

    name = "URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address, or a usage error that says what is allowed."""
        try:
            return required_web_address(str(value))
        except ValueError as error:
            return self.fail(f"{error}", param, ctx)


def _on_this_machine() -> str:
    """Where an API of the same settings answers here. By the name that ~/.netrc of a deployment holds."""
    port = load_settings().api_port
    if not port:
        raise click.UsageError("--base-url is needed: API_PORT is 0, so it is any free port")
    return f"http://localhost:{port}"


base_url_option = click.option(
    "--base-url",
    type=WebAddress(),
    envvar="STACKLENS_BASE_URL",
    show_envvar=True,
    default=_on_this_machine,
    show_default="http://localhost:$API_PORT",
    metavar="URL",
    help="Where the dashboard API answers.",
)


def login_options(command: Command) -> Command:
    """--user, and its password from the environment alone."""
    asked = click.option(
        "--user", metavar="NAME", help="User of the API; default: the entry of ~/.netrc, if any."
    )
    kept = click.option(
        "--password", cls=FromEnvironmentOnly, envvar="STACKLENS_PASSWORD", hidden=True
    )
    return asked(kept(command))


def login_to(base_url: str, user: str | None, password: str | None) -> Login | None:
    """Name and password for the API at `base_url`; None: nobody is logged in.

    The password of `user` is `password`, else it is asked for. Without a user it is the entry of ~/.netrc for exactly
    that host, as curl would take it. Raises CommandFailed for a ~/.netrc that cannot be read.
    """
    if user is not None:
        return user, password or str(click.prompt("Password", hide_input=True, err=True))
    try:
        entries = netrc.netrc().hosts
    except FileNotFoundError:
        return None
    except netrc.NetrcParseError as error:  # whose text may hold a word of the file: a password
        raise CommandFailed(
            f"{error.filename}, near line {error.lineno}: must be a netrc file that only its owner can read"
        ) from None
    entry = entries.get(urlsplit(base_url).hostname or "")
    return None if entry is None else (entry[0], entry[2] or "")
