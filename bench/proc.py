"""What the kernel says about a process: CPU time and memory, from /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all its threads."""
    return cpu_of(_stat(pid))


def family_cpu_seconds(pid: int) -> float:
    """The same of a process and its children, those that have ended among them: it does not fall when one does."""
    found = cpu_of(_stat(pid), ended_children=True)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        try:
            found += cpu_of(_stat(int(child)), ended_children=True)
        except FileNotFoundError:
            continue
    return found


def peak_memory_bytes(pid: int) -> int:
    """The largest resident size a process has had (VmHWM)."""
    return peak_of(Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace"))


def cpu_of(stat: str, *, ended_children: bool = False) -> float:
    """User and system time in the text of /proc/PID/stat, in seconds; if wanted with that of children waited for."""
    # The second field is the name in brackets and may hold anything, brackets and spaces too.
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if ended_children else 13])) / TICKS_PER_S


def peak_of(status: str) -> int:
    """VmHWM in the text of /proc/PID/status, in bytes. Raises ValueError when it is not there."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024  # "kB" there are units of 1024 bytes
    raise ValueError("no VmHWM in the status")


def _stat(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
