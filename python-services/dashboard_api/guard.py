"""Lets requests pass or refuses them: HTTP basic auth or bearer keys; roles reader and admin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth, MultiAuth

from analytics_service.passwords import Principal
from dashboard_api.auth import Authenticator
from dashboard_api.errors import Problem
from dashboard_api.throttle import Throttle

REALM = "StackLens"

_CHALLENGES = [
    ("WWW-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"'),
    ("WWW-Authenticate", f'Bearer realm="{REALM}"'),
]
_ROLES_OF = {"admin": ("admin", "reader"), "reader": ("reader",)}


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
