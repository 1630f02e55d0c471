"""The servers of a test run keep their data in memory where there is room: each test makes and drops a database.

That is 1,200 files a time. A file system without a journal (ext4 in small virtual machines) walks over all that were
deleted in the last minute for each new one: up to 0.4 s of a processor for a database, and 0.03 s in memory.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from devstack.cache import DATA_VARIABLE

MEMORY = Path("/dev/shm")
PREFIX = "stacklens-tests-"
# Ten times what a run was seen to need.
NEEDED_BYTES = 6 * 2**30


def use_for_servers(memory: Path = MEMORY) -> Path | None:
    """Make a folder for this process's run and name it to the embedded stack; None: they stay where they are.

    Whoever has said where data go (STACKLENS_DEVSTACK_DATA) is heard. What runs that were killed have left is removed.
    """
    if DATA_VARIABLE in os.environ or room_bytes(memory) < NEEDED_BYTES:
        return None
    remove_left_behind(memory)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=memory))
    folder.chmod(0o711)  # the database's user passes through
    os.environ[DATA_VARIABLE] = str(folder)
    return folder


def room_bytes(memory: Path = MEMORY, meminfo: Path = Path("/proc/meminfo")) -> int:
    """How much fits there: what the file system allows, and not more than what memory is available."""
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return 0
    available = re.search(r"^MemAvailable: +(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    if available is None:
        return 0
    return min(shutil.disk_usage(memory).free, int(available[1]) * 1024)


def remove_left_behind(memory: Path = MEMORY) -> None:
    """Remove this user's folders of runs whose process is gone."""
    for folder in memory.glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        gone = pid.isdigit() and not Path("/proc", pid).exists()
        if gone and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)
