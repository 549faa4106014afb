"""Where a visitor comes from, behind however many proxies."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def address(request: HttpRequest) -> IPv4Address | IPv6Address | None:
    """The visitor's address; None where it cannot be known.

    It is the last hop on the way here that is no proxy of ours (TRUSTED_PROXIES). What stands before it in
    `X-Forwarded-For` is the visitor's own invention.
    """
    proxies = [ip_network(proxy, strict=False) for proxy in settings.TRUSTED_PROXIES]
    way = [*request.headers.get("X-Forwarded-For", "").split(","), request.META.get("REMOTE_ADDR", "")]
    hop = None
    for name in reversed(way):
        try:
            hop = ip_address(name.strip())
        except ValueError:
            return None
        hop = getattr(hop, "ipv4_mapped", None) or hop
        if not any(hop in proxy for proxy in proxies):
            return hop
    return hop


def named_address(request: HttpRequest) -> str | None:
    """The visitor's address as text."""
    return str(address(request) or "") or None


def network(request: HttpRequest) -> str:
    """The visitor's address, or for IPv6 the /64 that one connection has for itself; empty where it cannot be known."""
    visitor = address(request)
    if isinstance(visitor, IPv6Address):
        return str(ip_network((visitor.packed, 64), strict=False))
    return str(visitor or "")
