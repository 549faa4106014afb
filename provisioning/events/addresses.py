"""Which addresses events may be sent to: the public internet, and the private networks that the partner opted in.

The address that was checked is the address that is connected to: the name is resolved once, each address is checked
while connecting, and the connected socket is checked again. So a name server that answers differently the second time
gains nothing.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError

from provisioning.networks import Address, read_network, unwrap

GLOBAL_UNICAST = ip_network("2000::/3")
"""The only range of IPv6 addresses that IANA has allocated for the public internet."""
NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # Azure's services for virtual machines
        "100.64.0.0/10",  # carrier-grade NAT, which clouds use inside
        "2001::/23",  # Teredo, ORCHID, and other assignments that lead elsewhere
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds an IPv4 address
        "3fff::/20",  # documentation
    )
)
"""Networks that some or all versions of Python take for public, although they aren't, or lead elsewhere."""

REFUSED = "This address is in a private network. To allow it, add the network to WEBHOOK_PRIVATE_NETWORKS."
UNENCRYPTED = "Outside of your own network, the URL must start with https://."


class AddressRefused(Exception):
    """Raised instead of connecting to an address that events must not be sent to."""


def check(address: Address, *, encrypted: bool = True) -> None:
    """Raise AddressRefused unless events may be sent to this address. Without encryption, only opted-in ones may."""
    address = unwrap(address)
    if is_opted_in(address):
        return
    if not is_public(address):
        raise AddressRefused(REFUSED)
    if not encrypted:
        raise AddressRefused(UNENCRYPTED)


def is_opted_in(address: Address) -> bool:
    """Whether the address is in one of WEBHOOK_PRIVATE_NETWORKS."""
    networks = map(read_network, settings.WEBHOOK_PRIVATE_NETWORKS)
    return not _scope(address) and any(address in network for network in networks)


def is_public(address: Address) -> bool:
    """Whether the address is one of the public internet, and of no network within it that has another purpose."""
    if not address.is_global or address.is_multicast or address.is_reserved or _scope(address):
        return False
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return not any(address in network for network in NOT_PUBLIC)


def check_url(url: str) -> None:
    """Raise ValidationError for a URL that events can't be sent to. Names are resolved only when events are sent."""
    parts = _parts(url)
    host = (parts and parts.hostname) or ""
    if parts is None or parts.scheme not in ("https", "http") or not host or any(blank in url for blank in " \t\r\n\\"):
        raise ValidationError({"url": "Enter a URL that starts with https://, exactly as you got it."})
    if parts.username is not None or parts.password is not None:
        raise ValidationError({"url": "Remove the username and the password from the URL."})
    if parts.scheme == "http" and not settings.WEBHOOK_PRIVATE_NETWORKS:
        raise ValidationError({"url": UNENCRYPTED})
    with suppress(socket.gaierror, UnicodeError, ValueError):  # It is a name.
        # The system reads every notation of an address, like 0x7f.1, without asking a name server.
        for *_rest, to in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST):
            try:
                check(ip_address(to[0]), encrypted=parts.scheme == "https")
            except AddressRefused as refusal:
                raise ValidationError({"url": str(refusal)}) from None


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises for an impossible one
    except ValueError:
        return None
    return parts


def _scope(address: Address) -> str:
    """Return the zone of an IPv6 address, like `eth0`: such an address is in a local network."""
    return (isinstance(address, IPv6Address) and address.scope_id) or ""


class CheckedHTTP(HTTPConnection):
    """A connection that is opened only to an address that passes `check`."""

    encrypted = False
    ends_at = float("inf")
    """When to give up connecting, by this process's monotonic clock."""

    def _new_conn(self) -> socket.socket:
        host = self._dns_host.removeprefix("[").removesuffix("]")
        try:
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise NameResolutionError(host, self, error) from error  # type: ignore[arg-type]
        for *_rest, to in found:
            check(ip_address(to[0]), encrypted=self.encrypted)
        problem: OSError = OSError("no address")
        for family, kind, protocol, _name, to in found:
            try:
                return self._connect(family, kind, protocol, to)
            except OSError as error:
                problem = error
        raise NewConnectionError(self, f"Failed to establish a new connection: {problem}") from problem

    def _connect(self, family: int, kind: int, protocol: int, to: Any) -> socket.socket:
        """Connect to an address, before `ends_at`. Check it on the connected socket, too."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        sock = socket.socket(family, kind, protocol)
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(min(left, float(self.timeout or left)))
            sock.connect(to)
            check(ip_address(sock.getpeername()[0]), encrypted=self.encrypted)
        except BaseException:
            sock.close()
            raise
        return sock


class CheckedHTTPS(CheckedHTTP, HTTPSConnection):
    """The same with TLS, which events to the public internet need."""

    encrypted = True
