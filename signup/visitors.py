"""A visitor's network address, behind any number of proxies."""

from __future__ import annotations

import logging
import re
import uuid
from datetime import timedelta
from functools import cache, lru_cache
from ipaddress import IPv6Address, ip_network

from django.conf import settings
from django.db.models.functions import Now
from django.http import HttpRequest
from django.http.request import split_domain_port

from provisioning.networks import Address, Network, read_address, read_network
from signup.visits import Visit

log = logging.getLogger(__name__)

WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](:\d+)?|(?P<v4>[\d.]+):\d+")
"""How proxies write an address together with its port: `203.0.113.8:51234`, `[2001:db8::1]:443`."""
HIDDEN = "hidden visitors"
"""The key of the visits, about one an hour, that record that a proxy hid a visitor's address."""
UNKNOWN = "unknown"
"""The network of all visitors whose address is unknown. They share one limit."""


def address(request: HttpRequest) -> Address | None:
    """Return the visitor's address; None if the web server doesn't know any.

    It is the last hop that is not one of our proxies (TRUSTED_PROXIES). A visitor could have made up everything before
    it in `X-Forwarded-For`. If a hop can't be parsed, the visitor counts as the hop after it, so that a limit still
    applies, and operators are told.
    """
    if not hasattr(request, "_visitor"):  # Several limits ask for it.
        request._visitor = _address(request)  # type: ignore[attr-defined]
    return request._visitor  # type: ignore[attr-defined, no-any-return]


def _address(request: HttpRequest) -> Address | None:
    if "REMOTE_ADDR" not in request.META:  # The request didn't come through a web server.
        return None
    forwarded = request.headers.get("X-Forwarded-For", "")
    hop = None
    for name in reversed([*(forwarded.split(",") if forwarded else ()), request.META.get("REMOTE_ADDR", "")]):
        before, hop = hop, _read(name)
        if hop is None:
            _report("cannot be read")
            return before
        if not is_trusted(hop):
            if forwarded and before is None and not hop.is_global:
                _report("comes from a proxy that is not in TRUSTED_PROXIES")
            return hop
    if not forwarded:
        _report("is missing")
    return hop


def is_trusted(hop: Address | None) -> bool:
    """Whether this is one of our proxies (TRUSTED_PROXIES)."""
    return hop is not None and any(hop in network for network in _networks(*settings.TRUSTED_PROXIES))


def peer(request: HttpRequest) -> Address | None:
    """Return the address at the other end of the connection."""
    return _read(request.META.get("REMOTE_ADDR", ""))


def host_name(request: HttpRequest) -> str:
    """Return the host name that the request was sent to, without a port, always in the same spelling."""
    return split_domain_port(request.get_host())[0]


def network(request: HttpRequest) -> str:
    """Return the visitor's address; for IPv6, the /64 that one connection usually has."""
    visitor = address(request)
    return _network(visitor, 32, 64) if visitor else UNKNOWN


def area(request: HttpRequest) -> str:
    """Return the visitor's /24; for IPv6, the /48 that one customer of an internet provider may have."""
    visitor = address(request)
    return _network(visitor, 24, 48) if visitor else UNKNOWN


def first_address(request: HttpRequest) -> str | None:
    """Return the first address of the visitor's network, as a key for all of it."""
    return None if (name := network(request)) == UNKNOWN else name.partition("/")[0]


def has_hidden_visitors() -> bool:
    """Whether a proxy hid a visitor's address within the last day."""
    return Visit.objects.filter(key=HIDDEN, at__gt=Now() - timedelta(days=1)).exists()


@cache
def _networks(*written: str) -> list[Network]:
    return [read_network(each) for each in written]


@lru_cache
def _read(name: str) -> Address | None:
    name = name.strip()
    if match := WITH_PORT.fullmatch(name):
        name = match["v6"] or match["v4"]
    try:
        return read_address(name)
    except ValueError:
        return None


@lru_cache
def _network(visitor: Address, v4: int, v6: int) -> str:
    bits = v6 if isinstance(visitor, IPv6Address) else v4
    return str(ip_network((visitor.packed, bits), strict=False)).removesuffix("/32")


def _report(why: str) -> None:
    """Warn operators, about once an hour for the whole installation."""
    if not Visit.objects.filter(key=HIDDEN, at__gt=Now() - timedelta(hours=1)).exists():
        Visit.objects.create(key=HIDDEN, submission=uuid.uuid4())
        log.warning("X-Forwarded-For %s: visitors behind the proxy count as one; see docs/production.md", why)
