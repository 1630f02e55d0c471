"""One run of the broker from which Java learns what to load next time."""

from __future__ import annotations

import tempfile
from pathlib import Path

from devstack.broker import Broker
from devstack.cache import Part
from devstack.errors import DevstackError
from devstack.java import ahead_of_time_cache

SECONDS_TO_WRITE = 120
KEPT = 4  # of as many virtual environments; about 65 MB each


def train(part: Part) -> None:
    """Write the start-up cache of this Java for this Kafka; on failure an empty one.

    The stack works without it, only slower, so a failure here is none of the caller's.
    """
    target = ahead_of_time_cache(part)
    with tempfile.TemporaryDirectory(prefix="stacklens-devstack-") as name:
        made = Path(name) / "kafka.aot"
        broker = Broker(part, Path(name) / "kafka", options=[f"-XX:AOTCacheOutput={made}"])
        try:
            broker.start()
            broker.wait_until_ready()
            broker.stop(SECONDS_TO_WRITE)
        except DevstackError:
            made.unlink(missing_ok=True)
        finally:
            broker.close()
        partial = target.with_suffix(".partial")
        partial.write_bytes(made.read_bytes() if made.exists() else b"")
        partial.rename(target)
    for old in sorted(part.path.glob("*.aot"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink()
