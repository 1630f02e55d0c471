"""Whose address a request comes from."""

from __future__ import annotations

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from dashboard_api.clients import client_address, parse_networks

PROXIES = ["172.16.0.0/12", "10.1.1.1"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # whoever is no proxy may write anything
        ("172.18.0.5", None, "172.18.0.5"),
        ("172.18.0.5", "198.51.100.1", "198.51.100.1"),
        ("172.18.0.5", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # the client wrote 1.2.3.4 itself
        ("172.18.0.5", "198.51.100.1, 10.1.1.1", "198.51.100.1"),  # two proxies
        ("172.18.0.5", "nonsense", "172.18.0.5"),
        ("172.18.0.5", "1.2.3.4, nonsense", "172.18.0.5"),
        ("172.18.0.5", "", "172.18.0.5"),
        ("172.18.0.5", "2001:db8::1", "2001:db8::1"),
        ("", "198.51.100.1", "unknown"),
    ],
)
def test_the_nearest_that_is_no_trusted_proxy(
    peer: str, forwarded: str | None, expected: str
) -> None:
    headers = [] if forwarded is None else [("X-Forwarded-For", forwarded)]
    environ = EnvironBuilder(headers=headers, environ_base={"REMOTE_ADDR": peer}).get_environ()
    assert client_address(Request(environ), parse_networks(PROXIES)) == expected


def test_without_proxies_the_header_is_not_believed() -> None:
    environ = EnvironBuilder(
        headers=[("X-Forwarded-For", "1.2.3.4")], environ_base={"REMOTE_ADDR": "127.0.0.1"}
    ).get_environ()
    assert client_address(Request(environ), []) == "127.0.0.1"
