"""Addresses and networks, in the one form in which they can be compared: IPv4 that is wrapped in IPv6 is IPv4.

A server that listens on IPv6 sees an IPv4 visitor as `::ffff:203.0.113.8`, and people copy that from its log.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAPPED = IPv6Network("::ffff:0:0/96")
"""https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.2"""


def read_address(text: str) -> Address:
    """Return the address that a text names. Raises ValueError."""
    return unwrap(ip_address(text))


def read_network(text: str) -> Network:
    """Return a network, of a single address if the text has no prefix. Raises ValueError."""
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - MAPPED.prefixlen))
    return network


def unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address only wraps, or else the address itself."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
