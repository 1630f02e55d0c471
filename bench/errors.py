"""Why a figure does not count."""


class BenchError(Exception):
    """Something that makes the figures of a run meaningless; the text says what."""


class ChildError(BenchError):
    """A child process ended or said nothing in time; the text holds its last lines."""


class WrongResult(BenchError):
    """The tables do not hold what was sent."""


class NotProduced(BenchError):
    """The events were not produced at the rate asked for."""


class NotSustained(BenchError):
    """The events were not all stored soon after they had been produced."""


class UnsafeDatabase(BenchError):
    """The database does not keep its promises to the disk."""


class PeerNotReady(BenchError):
    """What a peer needs could not be made."""
