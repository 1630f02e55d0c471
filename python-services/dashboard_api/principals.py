"""Who there is: users with hashed passwords and programs with keys, from the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable

from analytics_service.config import ConfigurationError, Settings
from analytics_service.passwords import (
    Principal,
    hash_password,
    parse_api_keys,
    parse_users,
    read_users_file,
)

LAPTOP_USER = "admin"
LAPTOP_PASSWORD = "stacklens"

_log = logging.getLogger(__name__)


def load_principals(settings: Settings) -> tuple[list[Principal], list[Principal]]:
    """Users and API keys from the settings. Raises ConfigurationError with every problem.

    Outside production, with nobody configured at all, there is one well-known user for a laptop.
    """
    problems: list[str] = []

    def parsed(name: str, read: Callable[[], list[Principal]]) -> list[Principal]:
        try:
            return read()
        except ValueError as error:
            problems.append(f"{name}: {error}")
            return []

    users = parsed("API_USERS", lambda: parse_users(settings.api_users))
    keys = parsed("API_KEYS", lambda: parse_api_keys(settings.api_keys))
    path = settings.api_users_file
    if path is not None:
        users += parsed("API_USERS_FILE", lambda: read_users_file(path))
    names = [user.name for user in users]
    problems += [
        f"API_USERS_FILE: {name!r} is in API_USERS too"
        for name in {n for n in names if names.count(n) > 1}
    ]
    if not problems and not users and not keys and not settings.api_auth_disabled:
        if settings.is_production:
            problems.append("API_USERS: nobody may log in; `stacklens hash-password` makes a hash")
        else:
            _log.warning(
                "no API_USERS: for this machine only, the user is %r with password %r",
                LAPTOP_USER,
                LAPTOP_PASSWORD,
            )
            users.append(Principal(LAPTOP_USER, "admin", hash_password(LAPTOP_PASSWORD)))
    if problems:
        raise ConfigurationError(problems)
    return users, keys
