"""Megabytes that come and go in several threads: make the C library give them back."""

from __future__ import annotations

import ctypes

import pyarrow

_M_ARENA_MAX = -8  # as glibc's malloc.h numbers it
_LIBC = ctypes.CDLL(None)


def keep_heap_small() -> None:
    """For the whole process. With glibc each thread would get an arena that keeps its peak."""
    if hasattr(_LIBC, "mallopt"):  # other C libraries have no such knob, and no such arenas
        _LIBC.mallopt(_M_ARENA_MAX, 2)
    # Arrow's own allocators keep what they had at their peak; one heap for all is used again by all.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())


def give_back() -> None:
    """Return what is free within the heap to the system; some milliseconds, without Python's lock."""
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
