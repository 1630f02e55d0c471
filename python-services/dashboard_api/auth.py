"""Whether a password or a key is right."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from analytics_service.passwords import Principal, hash_api_key, hash_password, verify_password

REMEMBERED_S = 300.0
MOST_REMEMBERED = 1024


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
