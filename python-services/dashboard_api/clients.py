"""Whose request it is: the address of the client, behind proxies that are trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from flask import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NOBODY = "unknown"


def client_address(request: Request, trusted: Sequence[Network]) -> str:
    """The nearest address in X-Forwarded-For that is no trusted proxy's, if the peer is one; else the peer's.

    What stands further left was written by the client itself, and may be anything.
    """
    address = request.remote_addr or NOBODY
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    while forwarded and _is_trusted(address, trusted):
        before = forwarded.pop()
        if not _is_address(before):
            break
        address = before
    return address


def parse_networks(texts: Sequence[str]) -> list[Network]:
    """Addresses and networks as networks. Raises ValueError for what is neither."""
    return [ipaddress.ip_network(text, strict=False) for text in texts]


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    return _is_address(address) and any(
        ipaddress.ip_address(address) in network for network in trusted
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
