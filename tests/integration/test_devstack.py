"""The embedded stack: it answers, it ends with whoever started it, and it says what is wrong."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from devstack.api import DevstackError, Stack, running_stack
from devstack.cache import Part, locked
from devstack.process import GuardedProcess
from tests.databases import Database, maintenance
from tests.stack_fixtures import Topics, kafka_admin
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
OWN_SERVERS = ("KAFKA_BOOTSTRAP_SERVERS", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD")

HOLD_A_STACK = """\
import sys
from devstack.api import running_stack
with running_stack(environ={}) as stack:
    print(stack.kafka.pid, stack.postgres.pid, stack.kafka.directory.parent, flush=True)
    sys.stdin.read()
"""


def clean_environment(**changes: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OWN_SERVERS} | changes


def run_devstack(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devstack", *arguments],
        cwd=ROOT,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def answers(stack: Stack) -> bool:
    """Whether both servers do something useful."""
    name = Database(stack, stack.db_name).rows("SELECT current_database()")[0][0]
    with kafka_admin(stack) as admin:
        return name == stack.db_name and len(admin.describe_cluster()["brokers"]) == 1


@pytest.fixture
def held_stack() -> Iterator[tuple[subprocess.Popen[str], list[int], Path]]:
    """Another process that holds a stack: (the process, its servers' pids, their data)."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_STACK],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        kafka, postgres, directory = holder.stdout.readline().split()
        yield holder, [int(kafka), int(postgres)], Path(directory)
        holder.kill()


def test_the_runs_stack_answers_and_is_what_it_says(stack: Stack, topics: Topics) -> None:
    assert answers(stack)
    with kafka_admin(stack) as admin:
        assert {topics.input, topics.output, topics.dlq} <= set(admin.list_topics())
    query = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    assert maintenance(stack).rows(query) == [(True,)]


def test_each_test_has_a_database_of_its_own(empty_database: Database) -> None:
    assert (
        empty_database.rows("SELECT extname FROM pg_extension WHERE extname = 'timescaledb'") == []
    )
    empty_database.execute("CREATE EXTENSION timescaledb")
    ((version,),) = empty_database.rows(
        "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
    )
    assert version


def test_the_embedded_database_is_private_and_licensed_as_apache(private_stack: Stack) -> None:
    database = Database(private_stack, private_stack.db_name)
    for setting, expected in {
        "server_version_num": "17",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "timescaledb.license": "apache",
        "timescaledb.telemetry_level": "off",
        "max_connections": "300",
        "fsync": "on",
    }.items():
        ((value,),) = database.rows("SELECT current_setting(%s)", setting)
        assert value[:2] == "17" if setting == "server_version_num" else value == expected, setting
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        database.connect(password="guessed")


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_stopped_server_comes_back_on_its_port_with_its_data(
    private_stack: Stack, way: str
) -> None:
    database = Database(private_stack, private_stack.db_name)
    database.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert private_stack.kafka is not None
    assert private_stack.postgres is not None
    with kafka_admin(private_stack) as admin:
        admin.create_topics({"kept": {"num_partitions": 2, "replication_factor": 1}})
    servers: list[GuardedProcess] = [private_stack.kafka, private_stack.postgres]
    for server in servers:
        before = server.pid
        assert before is not None
        getattr(server, way)()
        assert server.pid is None
        assert not alive(before)
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        database.connect()
    for server in servers:
        server.start()
    private_stack.postgres.wait_until_ready()
    private_stack.kafka.wait_until_ready()
    assert database.rows("SELECT answer FROM kept") == [(42,)]
    with kafka_admin(private_stack) as admin:
        assert "kept" in admin.list_topics()


def test_the_servers_die_with_a_parent_killed_hard(
    held_stack: tuple[subprocess.Popen[str], list[int], Path],
) -> None:
    holder, servers, directory = held_stack
    assert all(map(alive, servers))
    holder.kill()
    wait_until(lambda: not any(map(alive, servers)), 20, "both servers end")
    wait_until(lambda: not directory.exists(), 20, "their data are removed")


def test_two_stacks_at_once_do_not_meet(
    private_stack: Stack, held_stack: tuple[subprocess.Popen[str], list[int], Path]
) -> None:
    holder, servers, directory = held_stack
    assert private_stack.kafka is not None
    assert private_stack.postgres is not None
    assert not {private_stack.kafka.pid, private_stack.postgres.pid} & set(servers)
    assert holder.stdin is not None
    holder.stdin.close()
    assert holder.wait(30) == 0
    assert not any(map(alive, servers))
    assert not directory.exists()
    assert answers(private_stack)


def test_up_writes_the_variables_and_removes_them_when_interrupted(tmp_path: Path) -> None:
    env_file = tmp_path / ".stack.env"
    with subprocess.Popen(
        [sys.executable, "-m", "devstack", "up", "--env-file", str(env_file)],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
    ) as up:
        wait_until(env_file.exists, 60, "the variables are written")
        assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
        read = subprocess.run(
            ["sh", "-c", f"set -a; . {env_file}; env"], capture_output=True, text=True, check=True
        )
        env = dict(line.split("=", 1) for line in read.stdout.splitlines() if "=" in line)
        assert set(OWN_SERVERS) <= set(env)
        with running_stack(environ=env) as stack:
            assert stack.kafka is None
            assert stack.postgres is None
            assert answers(stack)
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
    assert not env_file.exists()


def test_own_servers_are_used_as_the_environment_names_them() -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "DB_HOST": "db", "DB_PASSWORD": "secret"}
    with running_stack(environ=environ) as stack:
        assert stack.kafka is None
        assert stack.env == {
            "KAFKA_BOOTSTRAP_SERVERS": "k:9092",
            "DB_HOST": "db",
            "DB_PORT": "5432",
            "DB_NAME": "stacklens",
            "DB_USER": "stacklens_user",
            "DB_PASSWORD": "secret",
        }


@pytest.mark.parametrize("only", ["KAFKA_BOOTSTRAP_SERVERS", "DB_HOST"])
def test_half_of_ones_own_servers_is_refused(only: str) -> None:
    half = running_stack(environ={only: "somewhere"})
    with pytest.raises(DevstackError, match="both KAFKA_BOOTSTRAP_SERVERS and DB_HOST"), half:
        pass


def test_without_apt_get_it_says_what_else_there_is(tmp_path: Path) -> None:
    done = run_devstack("up", PATH="", STACKLENS_DEVSTACK_CACHE=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in (
        "there is no apt-get here",
        "KAFKA_BOOTSTRAP_SERVERS",
        "DB_HOST",
        "docker-compose",
    ):
        assert word in done.stderr


def test_an_unwritable_cache_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_devstack("fetch", STACKLENS_DEVSTACK_CACHE=str(tmp_path / "file" / "cache"))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "STACKLENS_DEVSTACK_CACHE" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's database runs as another user")
def test_a_cache_that_the_servers_user_cannot_enter_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    done = run_devstack("fetch", STACKLENS_DEVSTACK_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "cannot be entered" in done.stderr
    assert "STACKLENS_DEVSTACK_CACHE" in done.stderr


def test_a_place_for_data_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKLENS_DEVSTACK_DATA", "/nowhere/at/all")
    with pytest.raises(DevstackError, match="STACKLENS_DEVSTACK_DATA"), running_stack(environ={}):
        pytest.fail("it has started")


def test_what_an_interrupted_download_left_is_thrown_away(tmp_path: Path) -> None:
    part = Part(tmp_path / "part")
    part.begin()
    (part.path / "half").touch()
    assert not part.ready
    part.begin()
    assert list(part.path.iterdir()) == []
    part.finish()
    assert part.ready


def test_the_cache_is_filled_by_one_at_a_time(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        locked(tmp_path, said.append),
        subprocess.Popen(
            [sys.executable, "-m", "devstack", "fetch"],
            cwd=ROOT,
            env=clean_environment(STACKLENS_DEVSTACK_CACHE=str(tmp_path)),
            stderr=subprocess.PIPE,
            text=True,
        ) as other,
    ):
        assert other.stderr is not None
        assert "waiting for another process" in other.stderr.readline()
        other.kill()
    assert said == []


def test_a_wrong_command_is_a_usage_error() -> None:
    assert run_devstack("sideways").returncode == 2
