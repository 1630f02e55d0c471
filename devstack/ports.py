"""Free ports on the loopback address, each given away once."""

import random
import socket

from devstack.errors import DevstackError

# Below the range that the kernel hands to outgoing connections: a client that keeps trying to
# reach a stopped server would otherwise sooner or later be given the server's own port.
FIRST, LAST = 20_000, 32_000
TRIES = 10_000

# Names that other processes see and that end with this one, not files: whoever draws a port listens on it only later,
# and perhaps not all the time.
_held: dict[int, socket.socket] = {}


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on, and that no process is given again while this one lives.

    Raises DevstackError when none was found.
    """
    choose = random.SystemRandom()
    for _ in range(TRIES):
        port = choose.randint(FIRST, LAST)
        if _can_bind(port) and _hold(port):
            return port
    raise DevstackError(f"no free port between {FIRST} and {LAST} was found in {TRIES} tries")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _hold(port: int) -> bool:
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0stacklens-port-{port}")
    except OSError:
        name.close()
        return False
    _held[port] = name
    return True


def listening(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
