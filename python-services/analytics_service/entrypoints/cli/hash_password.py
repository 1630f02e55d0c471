"""`stacklens hash-password`: from a password to what stands in API_USERS or API_KEYS."""

from __future__ import annotations

import sys

import click

from analytics_service import passwords
from analytics_service.entrypoints.cli.errors import CommandFailed


@click.command("hash-password")
@click.option("--user", metavar="NAME", help="Print the whole entry, NAME:ROLE:hash.")
@click.option(
    "--role",
    type=click.Choice(passwords.ROLES),
    default="reader",
    show_default=True,
    help="Role for --user.",
)
@click.option(
    "--api-key", is_flag=True, help="The text is a bearer key for API_KEYS, not a password."
)
@click.option(
    "--new-api-key", "fresh", is_flag=True, help="Make a random bearer key; print key and hash."
)
def hash_password(user: str | None, role: str, api_key: bool, fresh: bool) -> None:
    """Read a password from standard input, print its hash for API_USERS.

    On a terminal the password is asked for twice and not shown. The hash holds no dollar sign,
    comma or blank: it can stand unquoted in an env file.

    \b
    Examples:
      stacklens hash-password < password.txt
      printf %s "$PASSWORD" | stacklens hash-password --user anna --role admin
      stacklens hash-password --new-api-key --user ci-pipeline
    """
    if user is not None and (not user or any(c in user for c in ":,\r\n")):
        raise click.BadParameter(
            "must not be empty nor hold a colon, comma or line end", param_hint="--user"
        )
    prefix = f"{user}:{role}:" if user else ""
    if fresh:
        key = passwords.new_api_key()
        click.echo(f"key (give it to the client, it is shown once): {key}", err=True)
        click.echo(prefix + passwords.hash_api_key(key))
        return
    secret = _read_secret()
    if api_key and len(secret) < passwords.SHORTEST_API_KEY:
        raise CommandFailed(
            f"an API key needs at least {passwords.SHORTEST_API_KEY} characters; see --new-api-key"
        )
    click.echo(
        prefix + (passwords.hash_api_key(secret) if api_key else passwords.hash_password(secret))
    )


def _read_secret() -> str:
    if sys.stdin.isatty():
        secret = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        secret = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not secret:
        raise CommandFailed("no password on standard input")
    if "\n" in secret or "\0" in secret:
        raise CommandFailed("the password must be one line without NUL characters")
    return secret
