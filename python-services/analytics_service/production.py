"""What production refuses: defaults where a secret belongs, short passwords, authentication switched off."""

from __future__ import annotations

from collections.abc import Mapping

SHORTEST_PASSWORD = 12
_REQUIRED_SECRETS = ("DB_PASSWORD", "DB_READER_PASSWORD", "DB_ADMIN_PASSWORD")
# Of other containers of the stack, which read the same file: looked at when it is there.
_OTHERS_SECRETS = ("GRAFANA_ADMIN_PASSWORD",)
_WELL_KNOWN = {
    "changeme",
    "change-me",
    "password",
    "postgres",
    "secret",
    "stacklens",
    "secure_password",
}
_WELL_KNOWN |= {"reader_password", "admin_password"}


def production_problems(given: Mapping[str, str], values: Mapping[str, object]) -> list[str]:
    """Every reason why these settings must not run in production; a line each, no secret in it.

    `given` is the environment as text, `values` the parsed settings by attribute name.
    """
    problems = []
    others = [name for name in _OTHERS_SECRETS if given.get(name, "").strip()]
    for name in (*_REQUIRED_SECRETS, *others):
        problem = _password_problem(given.get(name, ""))
        if problem:
            problems.append(f"{name}: {problem}")
    if values.get("api_auth_disabled"):
        problems.append("API_AUTH_DISABLED: must not be set in production")
    if not values.get("api_users") and not values.get("api_users_file"):
        problems.append(
            "API_USERS: must be set in production (or API_USERS_FILE); `stacklens hash-password` makes a hash"
        )
    if "change-me" in str(values.get("api_users", "")).lower():
        problems.append("API_USERS: still holds the example's placeholder")
    if values.get("log_level") == "DEBUG":
        problems.append("LOG_LEVEL: DEBUG must not be used in production")
    if values.get("smtp_password") and values.get("smtp_tls") == "none":
        problems.append(
            "SMTP_TLS: none would send SMTP_PASSWORD in the clear; use starttls or implicit"
        )
    return problems


def _password_problem(password: str) -> str | None:
    """Why `password` is refused in production, or None."""
    if not password.strip():
        return "must be set in production"
    lowered = password.lower()
    if lowered in _WELL_KNOWN or lowered.startswith(("change-me", "changeme")):
        return "is a default that everybody knows"
    if len(password) < SHORTEST_PASSWORD:
        return f"must have at least {SHORTEST_PASSWORD} characters in production"
    return None
