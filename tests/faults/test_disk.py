"""The small disk fills up and is free again; where there is none, the reason is told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# In a process of its own, for the mount namespace stays with whoever made it.
PROGRAM = """
import errno
from tests.faults.disk import small_disk
with small_disk(4) as disk:
    file = disk.directory / "file"
    file.write_bytes(bytes(1 << 20))
    taken = disk.fill()
    assert taken >= 2 << 20, taken
    try:
        (disk.directory / "more").write_bytes(bytes(64 << 10))
    except OSError as error:
        assert error.errno == errno.ENOSPC
    else:
        raise SystemExit("there is still room")
    disk.free()
    (disk.directory / "more").write_bytes(bytes(1 << 20))
    print("filled and freed", disk.directory)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_and_room_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    if "NoSmallDisk" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    said, directory = done.stdout.strip().rsplit(" ", 1)
    assert said == "filled and freed"
    assert not os.path.exists(directory)
