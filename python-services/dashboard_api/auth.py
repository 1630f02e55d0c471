"""Who may ask: HTTP basic auth with hashed passwords, or bearer keys; roles reader and admin."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth, MultiAuth

from analytics_service.config import ConfigurationError, Settings
from analytics_service.passwords import (
    Principal,
    hash_api_key,
    hash_password,
    parse_api_keys,
    parse_users,
    read_users_file,
    verify_password,
)
from dashboard_api.errors import Problem
from dashboard_api.throttle import Throttle

LAPTOP_USER = "admin"
LAPTOP_PASSWORD = "stacklens"
REALM = "StackLens"
REMEMBERED_S = 300.0
MOST_REMEMBERED = 1024

_CHALLENGES = [
    ("WWW-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"'),
    ("WWW-Authenticate", f'Bearer realm="{REALM}"'),
]
_ROLES_OF = {"admin": ("admin", "reader"), "reader": ("reader",)}

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


class Authenticator:
    """Checks passwords and keys.

    Hashing is slow on purpose, so a success is remembered for some minutes under a keyed digest
    that only this process can make; a failure never is. An unknown user costs as much time as a
    wrong password.
    """

    def __init__(
        self,
        users: Sequence[Principal],
        keys: Sequence[Principal],
        *,
        verify: Callable[[str, str], bool] = verify_password,
        clock: Callable[[], float] = time.monotonic,
        most_remembered: int = MOST_REMEMBERED,
    ) -> None:
        self._users = {user.name: user for user in users}
        self._keys = {key.hash: key for key in keys}
        self._decoy = users[0].hash if users else hash_password(secrets.token_hex())
        self._verify = verify
        self._clock = clock
        self._most_remembered = most_remembered
        self._secret = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, name: str, password: str) -> Principal | None:
        """The user of that name if this very password was right within the last minutes; costs nothing."""
        user = self._users.get(name)
        return user if user and self._is_remembered(self._mark(name, password)) else None

    def user(self, name: str, password: str) -> Principal | None:
        """The user of that name if the password is right."""
        user = self._users.get(name)
        mark = self._mark(name, password)
        if user is not None and self._is_remembered(mark):
            return user
        right = self._verify(user.hash if user else self._decoy, password)
        if user is None or not right:
            return None
        self._remember(mark)
        return user

    def key(self, key: str) -> Principal | None:
        """The program whose bearer key this is."""
        return self._keys.get(hash_api_key(key))

    def _mark(self, name: str, password: str) -> bytes:
        text = f"{len(name)}:{name}:{password}".encode(errors="surrogatepass")
        return hmac.digest(self._secret, text, hashlib.sha256)

    def _is_remembered(self, mark: bytes) -> bool:
        with self._lock:
            ends_at_s = self._remembered.get(mark)
            if ends_at_s is None or ends_at_s <= self._clock():
                self._remembered.pop(mark, None)
                return False
            return True

    def _remember(self, mark: bytes) -> None:
        with self._lock:
            self._remembered[mark] = self._clock() + REMEMBERED_S
            while len(self._remembered) > self._most_remembered:
                self._remembered.popitem(last=False)


class _BearerAuth(HTTPTokenAuth):  # type: ignore[misc]  # the library is not typed
    """Takes the scheme in any case, as HTTP says (the base class compares it letter by letter)."""

    def is_compatible_auth(self, headers: Mapping[str, str]) -> bool:
        """Whether the request carries a bearer token."""
        return headers.get("Authorization", "").partition(" ")[0].lower() == "bearer"


class Guard:
    """Lets a request pass or raises Problem 401, 403 or 429; Flask-HTTPAuth reads the header.

    After too many failures from one address nothing from there is looked at for a while, but for keys
    that are right and passwords that were right a moment ago: who is in stays in, and other addresses
    are not concerned.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        throttle: Throttle,
        address: Callable[[], str],
        on_failure: Callable[[str], None],
    ) -> None:
        self._throttle = throttle
        self._address = address
        self._on_failure = on_failure
        basic = HTTPBasicAuth(realm=REALM)
        bearer = _BearerAuth("Bearer", realm=REALM)

        def _user(name: str, password: str) -> Principal | None:
            if not name:
                return None
            known = authenticator.remembered(name, password)
            if known is None:
                self._refuse_guessing()
                known = authenticator.user(name, password)
            return self._noted(known, "password")

        def _key(token: str) -> Principal | None:
            if not token:
                return None
            known = authenticator.key(token)
            if known is None:
                self._refuse_guessing()
            return self._noted(known, "key")

        basic.verify_password(_user)
        bearer.verify_token(_key)
        for scheme in (basic, bearer):
            scheme.get_user_roles(_roles)
            scheme.error_handler(_refuse)
        self._auth = MultiAuth(basic, bearer)

    def _noted(self, known: Principal | None, kind: str) -> Principal | None:
        if known is None:
            self._throttle.failed(self._address())
            self._on_failure(kind)
        return known

    def _refuse_guessing(self) -> None:
        wait_s = self._throttle.waits_s(self._address())
        if wait_s > 0:
            self._on_failure("throttled")
            raise Problem(
                429,
                "too-many-requests",
                "Too many wrong passwords from this address; wait.",
                headers=[("Retry-After", str(math.ceil(wait_s)))],
            )

    def require(self, role: str) -> Principal | None:
        """Check the current request; returns who asks. Of OPTIONS nothing is asked, as browsers want it: None."""
        self._auth.login_required(role=role)(lambda: None)()
        who = self._auth.current_user()
        return who if isinstance(who, Principal) else None


def _roles(who: Principal) -> list[str]:
    return list(_ROLES_OF[who.role])


def _refuse(status: int) -> None:
    if status == 403:
        raise Problem(403, "forbidden", "Your role does not allow this.")
    raise Problem(
        401, "unauthorized", "A user and password, or an API key, is needed.", headers=_CHALLENGES
    )
