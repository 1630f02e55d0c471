"""Password hashes for API_USERS and API_KEYS, and the lists of those who may log in.

A hash is werkzeug's scrypt form with each `$` written as `.`, which occurs nowhere else in it: so
it passes unchanged through env files, `source`, compose and shells. Werkzeug's own form will do.
API keys are long random texts, for which one SHA-256 is enough (there is nothing to guess), written
`sha256.<64 hex digits>`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash

ROLES = ("reader", "admin")
API_KEY_PREFIX = "slk_"
SHORTEST_API_KEY = 24

_PORTABLE = re.compile(r"(?:scrypt:\d+:\d+:\d+|pbkdf2:[a-z0-9_-]+:\d+)[.$][^.$,\s]+[.$][0-9a-f]+")
_KEY_HASH = re.compile(r"sha256\.[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who may log in: a user with a password hash, or a program with the hash of its key."""

    name: str
    role: str
    hash: str = field(repr=False)


def hash_password(password: str) -> str:
    """Hash with scrypt and a random salt (50 ms, 32 MiB); no `$`, comma or blank in the result."""
    return generate_password_hash(password, method="scrypt").replace("$", ".")


def verify_password(stored: str, password: str) -> bool:
    """Whether `password` is the one hashed in `stored` (either form); takes as long as hashing."""
    method, salt, digest = re.split(r"[.$]", stored, maxsplit=2)
    return check_password_hash(f"{method}${salt}${digest}", password)


def new_api_key() -> str:
    """A fresh random bearer key (192 bits)."""
    return API_KEY_PREFIX + secrets.token_urlsafe(24)


def hash_api_key(key: str) -> str:
    """The form of a bearer key that stands in API_KEYS."""
    return "sha256." + hashlib.sha256(key.encode()).hexdigest()


def parse_users(text: str) -> list[Principal]:
    """Users from `name:role:hash`, separated by commas or line ends; `#` begins a comment line.

    Raises ValueError with one line for each entry that cannot be used. No hash is repeated in it.
    """
    return _parse(text, _PORTABLE, "a hash made by `stacklens hash-password`")


def parse_api_keys(text: str) -> list[Principal]:
    """Bearer keys from `name:role:hash`, as `parse_users`; hashes by `hash-password --api-key`."""
    return _parse(text, _KEY_HASH, "a hash made by `stacklens hash-password --api-key`")


def read_users_file(path: Path) -> list[Principal]:
    """Users from a file, one `name:role:hash` a line. Raises ValueError when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"cannot read {path}: {reason}") from None
    return parse_users(text)


def _parse(text: str, hash_form: re.Pattern[str], hash_words: str) -> list[Principal]:
    found: dict[str, Principal] = {}
    problems: list[str] = []
    for position, entry in enumerate(_entries(text), start=1):
        name, _, rest = entry.partition(":")
        role, _, stored = rest.partition(":")
        problem = _problem(name, role, found)
        if problem is None and hash_form.fullmatch(stored) is None:
            problem = f"the third part of {name!r} is not {hash_words}"
        if problem is None:
            found[name] = Principal(name, role, stored)
        else:
            problems.append(f"entry {position}: {problem}")
    if problems:
        raise ValueError("; ".join(problems))
    return list(found.values())


def _entries(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _problem(name: str, role: str, taken: dict[str, Principal]) -> str | None:
    if not name or not role:
        return "it is not name:role:hash"
    if role not in ROLES:
        return f"the role of {name!r} is not one of {', '.join(ROLES)}"
    if name in taken:
        return f"{name!r} is there twice"
    return None
