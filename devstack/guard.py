"""Run one server and make sure that it dies with whoever asked for it.

Started as a script by `devstack.process`, in a session of its own, with a pipe from the asking
process on standard input: the pipe closes when that process ends, however it ends (kill -9
included). Standard library only, and few modules: it has to start at once.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
SECONDS_TO_DIE = 10


def _become(spec: dict[str, Any], guard_pid: int) -> None:
    """In the child, before exec: drop privileges, then ask for a signal if the guard dies.

    In this order, because the kernel forgets the signal when the user changes.
    """
    if spec["uid"] is not None:
        os.setgroups([])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, spec["end_signal"], 0, 0, 0)
    if os.getppid() != guard_pid:
        os._exit(1)


def _end(child: "subprocess.Popen[bytes]", end_signal: int) -> None:
    child.send_signal(end_signal)
    try:
        child.wait(SECONDS_TO_DIE)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def main() -> int:
    """Run the server of the JSON in argv[1]; return its exit status."""
    spec = json.loads(sys.argv[1])
    guard_pid = os.getpid()
    with open(spec["log"], "ab") as log:
        child = subprocess.Popen(
            spec["argv"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=spec["cwd"],
            env=spec["env"],
            start_new_session=True,
            preexec_fn=lambda: _become(spec, guard_pid),
        )
    os.write(1, f"{child.pid}\n".encode())
    os.close(1)
    ended = os.pidfd_open(child.pid)
    ready, _, _ = select.select([0, ended], [], [])
    if ended not in ready:
        _end(child, spec["end_signal"])
        shutil.rmtree(spec["directory"], ignore_errors=True)
        with contextlib.suppress(OSError):  # the other server's guard may need it yet
            os.rmdir(os.path.dirname(spec["directory"]))
    return child.wait()


if __name__ == "__main__":
    sys.exit(main() & 0xFF)
