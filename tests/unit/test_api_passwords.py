"""Password hashes, the lists of users and keys, and the command that makes hashes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.security import check_password_hash, generate_password_hash

from analytics_service.entrypoints.cli.hash_password import hash_password as command
from analytics_service.passwords import (
    Principal,
    hash_api_key,
    hash_password,
    new_api_key,
    parse_api_keys,
    parse_users,
    read_users_file,
    verify_password,
)

HASH = hash_password("correct horse")
NATIVE = generate_password_hash("correct horse", method="pbkdf2:sha256:1000")


def test_a_hash_verifies_its_password_only() -> None:
    assert verify_password(HASH, "correct horse")
    assert not verify_password(HASH, "correct horse ")
    assert not verify_password(HASH, "")


def test_a_hash_is_werkzeugs_own_under_another_separator() -> None:
    assert check_password_hash(HASH.replace(".", "$"), "correct horse")
    assert verify_password(NATIVE, "correct horse")
    assert not verify_password(NATIVE, "wrong")


def test_two_hashes_of_a_password_differ() -> None:
    assert hash_password("a") != hash_password("a")


def test_a_hash_passes_through_a_shell_and_an_env_file(tmp_path: Path) -> None:
    assert re.fullmatch(r"[A-Za-z0-9:.]+", HASH)
    file = tmp_path / "env"
    file.write_text(f"API_USERS=anna:reader:{HASH}\n")
    seen = subprocess.run(
        ["sh", "-c", '. "$0"; printf %s "$API_USERS"', str(file)], capture_output=True, check=True
    )
    assert seen.stdout.decode() == f"anna:reader:{HASH}"


def test_users_are_parsed() -> None:
    users = parse_users(f"anna:reader:{HASH}, bob:admin:{NATIVE},\n# nobody:admin:x\n")
    assert users == [Principal("anna", "reader", HASH), Principal("bob", "admin", NATIVE)]
    assert parse_users("") == []


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("anna", "not name:role:hash"),
        (":reader:" + HASH, "not name:role:hash"),
        ("anna:root:" + HASH, "role of 'anna' is not one of reader, admin"),
        ("anna:reader:plain", "third part of 'anna' is not a hash"),
        ("anna:reader:", "third part of 'anna' is not a hash"),
        (f"anna:reader:{HASH},anna:admin:{HASH}", "'anna' is there twice"),
    ],
)
def test_users_that_are_refused(entry: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_users(entry)


def test_no_refusal_repeats_what_might_be_a_password() -> None:
    with pytest.raises(ValueError, match="anna") as caught:
        parse_users("anna:reader:hunter2")
    assert "hunter2" not in str(caught.value)
    assert HASH not in repr(Principal("anna", "reader", HASH))


def test_a_users_file(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"# who may read\nanna:reader:{HASH}\n\nbob:admin:{HASH}\n")
    assert [user.name for user in read_users_file(file)] == ["anna", "bob"]
    with pytest.raises(ValueError, match=r"cannot read .*missing: No such file"):
        read_users_file(tmp_path / "missing")
    file.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_users_file(file)


def test_api_keys() -> None:
    key = new_api_key()
    assert len(key) > 30
    assert key != new_api_key()
    assert parse_api_keys(f"ci:reader:{hash_api_key(key)}")[0].name == "ci"
    with pytest.raises(ValueError, match="--api-key"):
        parse_api_keys(f"ci:reader:{HASH}")


def test_the_command_hashes_standard_input() -> None:
    result = CliRunner().invoke(command, [], input="correct horse\n")
    assert result.exit_code == 0
    assert verify_password(result.stdout.strip(), "correct horse")


def test_the_command_keeps_blanks_and_makes_whole_entries() -> None:
    result = CliRunner().invoke(command, ["--user", "anna", "--role", "admin"], input=" p w ")
    (user,) = parse_users(result.stdout)
    assert (user.name, user.role) == ("anna", "admin")
    assert verify_password(user.hash, " p w ")


def test_the_command_makes_keys() -> None:
    result = CliRunner().invoke(command, ["--new-api-key", "--user", "ci"])
    key = result.stderr.split()[-1]
    (entry,) = parse_api_keys(result.stdout)
    assert entry == Principal("ci", "reader", hash_api_key(key))
    again = CliRunner().invoke(command, ["--api-key"], input=key)
    assert again.stdout.strip() == hash_api_key(key)


@pytest.mark.parametrize(
    ("options", "given", "status"),
    [
        ([], "", 1),
        ([], "\n", 1),
        ([], "two\nlines", 1),
        (["--api-key"], "short", 1),
        (["--user", "a:b"], "x", 2),
        (["--user", ""], "x", 2),
        (["--role", "root"], "x", 2),
    ],
)
def test_what_the_command_refuses(options: list[str], given: str, status: int) -> None:
    result = CliRunner().invoke(command, options, input=given)
    assert result.exit_code == status
    assert result.stdout == ""
