"""Who may log in, and what the authenticator remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_service.config import ConfigurationError, Settings, load_settings
from analytics_service.passwords import Principal, hash_api_key, hash_password, verify_password
from dashboard_api.auth import Authenticator
from dashboard_api.principals import load_principals

ANNA = Principal("anna", "reader", hash_password("correct horse"))
KEY = "slk_0123456789012345678901234567"
CI = Principal("ci", "reader", hash_api_key(KEY))


class Clock:
    """Monotonic seconds that stand until moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Verifying:
    """The real, slow check, with a record of the hashes it was asked about."""

    def __init__(self) -> None:
        self.checked: list[str] = []

    def __call__(self, stored: str, password: str) -> bool:
        self.checked.append(stored)
        return verify_password(stored, password)


def test_a_right_password_is_hashed_once_in_five_minutes() -> None:
    verify = Verifying()
    clock = Clock()
    authenticator = Authenticator([ANNA], [], verify=verify, clock=clock)
    #   0 s    hashed
    # 299 s    remembered
    # 300 s    hashed again
    for at_s, hashed in ((0, 1), (299, 1), (300, 2), (301, 2)):
        clock.now_s = 1000.0 + at_s
        assert authenticator.user("anna", "correct horse") == ANNA
        assert len(verify.checked) == hashed


def test_a_wrong_password_is_hashed_every_time() -> None:
    verify = Verifying()
    authenticator = Authenticator([ANNA], [], verify=verify)
    assert authenticator.user("anna", "correct horse") == ANNA
    for _ in range(2):
        assert authenticator.user("anna", "wrong") is None
    assert verify.checked == [ANNA.hash] * 3


def test_an_unknown_user_costs_the_same_work() -> None:
    verify = Verifying()
    authenticator = Authenticator([ANNA], [], verify=verify)
    assert authenticator.user("bob", "correct horse") is None
    assert verify.checked == [ANNA.hash], "the hash of a known user, with its cost, was checked"
    assert Authenticator([], [], verify=verify).user("bob", "x") is None
    assert len(verify.checked) == 2


def test_name_and_password_do_not_run_into_each_other() -> None:
    users = [Principal("a", "reader", hash_password("b:c")), Principal("a:b", "admin", ANNA.hash)]
    authenticator = Authenticator(users, [])
    assert authenticator.user("a", "b:c") == users[0]
    assert authenticator.user("a:b", "c") is None


def test_the_memory_is_bounded() -> None:
    verify = Verifying()
    bob = Principal("bob", "admin", hash_password("b"))
    authenticator = Authenticator([ANNA, bob], [], verify=verify, most_remembered=1)
    for name, password in (("anna", "correct horse"), ("bob", "b"), ("anna", "correct horse")):
        assert authenticator.user(name, password) is not None
    assert len(verify.checked) == 3


def test_keys() -> None:
    authenticator = Authenticator([ANNA], [CI])
    assert authenticator.key(KEY) == CI
    assert authenticator.key(KEY + "x") is None
    assert authenticator.key(CI.hash) is None


def settings(**changes: str) -> Settings:
    return load_settings({"APP_ENV": "test", **changes}, env_file=None)


PRODUCTION = {
    "APP_ENV": "production",
    "DB_PASSWORD": "owner-of-the-schema-1",
    "DB_READER_PASSWORD": "reader-of-the-schema-1",
    "DB_ADMIN_PASSWORD": "admin-of-the-schema-1",
}


def test_a_laptop_has_one_well_known_user_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    users, keys = load_principals(settings())
    assert Authenticator(users, keys).user("admin", "stacklens") is not None
    assert "'admin' with password 'stacklens'" in caplog.text


def test_whoever_configures_someone_gets_no_well_known_user() -> None:
    for given in (
        settings(API_USERS=f"anna:reader:{ANNA.hash}"),
        settings(API_KEYS=f"ci:reader:{CI.hash}"),
        settings(**PRODUCTION, API_USERS=f"anna:reader:{ANNA.hash}"),
    ):
        assert "admin" not in [user.name for user in load_principals(given)[0]]


def test_users_from_both_places(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"bob:admin:{ANNA.hash}\n")
    given = settings(API_USERS=f"anna:reader:{ANNA.hash}", API_USERS_FILE=str(file))
    assert [user.name for user in load_principals(given)[0]] == ["anna", "bob"]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    given = settings(API_USERS="x", API_KEYS="y", API_USERS_FILE=str(tmp_path / "none"))
    with pytest.raises(ConfigurationError) as caught:
        load_principals(given)
    names = [problem.partition(":")[0] for problem in caught.value.problems]
    assert names == ["API_USERS", "API_KEYS", "API_USERS_FILE"]


def test_a_name_in_both_places_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"anna:admin:{ANNA.hash}\n")
    given = settings(API_USERS=f"anna:reader:{ANNA.hash}", API_USERS_FILE=str(file))
    with pytest.raises(ConfigurationError, match="'anna' is in API_USERS too"):
        load_principals(given)


def test_production_with_an_empty_users_file_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# nobody yet\n")
    given = settings(**PRODUCTION, API_USERS_FILE=str(file))
    with pytest.raises(ConfigurationError, match="nobody may log in"):
        load_principals(given)
