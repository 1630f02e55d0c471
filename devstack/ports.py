"""Free ports on the loopback address."""

import random
import socket

# Below the range that the kernel hands to outgoing connections: a client that keeps trying to
# reach a stopped server would otherwise sooner or later be given the server's own port.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listened on a moment ago."""
    choose = random.SystemRandom()
    while True:
        port = choose.randint(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def listening(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
