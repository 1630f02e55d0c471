"""Canonical text of IP addresses: one text for one address, the one PostgreSQL's inet prints."""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Final

# The only spelling of an IPv4 address: no leading zeros, which some read as octal.
_BYTE: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
DOTTED_QUAD: Final = rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}"
"""Regular expression of the whole of it."""
_DOTTED_QUAD: Final = re.compile(DOTTED_QUAD)
_DOTTED_QUADS: Final = re.compile(rf"(?:{DOTTED_QUAD}\n)*+")


def canonical_address(text: str) -> str:
    """The canonical form of an IPv4 or IPv6 address; ValueError when ``text`` is not one.

    Lower case, zeros compressed as RFC 5952 says. IPv6 addresses that embed an IPv4 address end in
    dotted decimal, as ``host(inet)`` prints them, so that an address counts alike whether it
    comes from an event or is read back from its row. A zone id (``%eth0``) is no address.
    """
    if _DOTTED_QUAD.fullmatch(text):
        return text
    address = IPv6Address(text)
    if address.scope_id is not None:
        raise ValueError(f"an address with a zone id: {text[:60]!r}")
    number = int(address)
    upper, lower = number >> 32, number & 0xFFFFFFFF
    # PostgreSQL takes ::a.b.c.d only when the run of zeros is exactly 96 bits: "::1" stays so.
    if upper == 0xFFFF or (upper == 0 and lower >> 16):
        dotted = ".".join(str(byte) for byte in lower.to_bytes(4, "big"))
        return f"::ffff:{dotted}" if upper else f"::{dotted}"
    return str(address)


def all_dotted_quads(texts: Sequence[str]) -> bool:
    """Whether every text is an IPv4 address, and so canonical; costs half of asking each."""
    joined = "\n".join([*texts, ""])
    return joined.count("\n") == len(texts) and _DOTTED_QUADS.fullmatch(joined) is not None
