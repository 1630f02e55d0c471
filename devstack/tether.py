"""Become a command that gets a signal when the process that started it ends, however it ends.

Started as a script: `tether.py PARENT_PID SIGNAL_NUMBER COMMAND ...`. Setting this up here, between
fork and exec, would not be safe in a parent with threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, number: int, command: list[str]) -> None:
    """Replace this process by `command`; it does not start when the parent is gone already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() == parent_pid:
        os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
