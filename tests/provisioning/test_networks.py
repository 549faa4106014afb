"""Addresses and networks can be compared, however they are written."""

import pytest

from provisioning.networks import read_address, read_network


@pytest.mark.parametrize(
    ("written", "network"),
    [
        ("203.0.113.8", "203.0.113.8/32"),
        ("203.0.113.8/24", "203.0.113.0/24"),
        ("::ffff:203.0.113.8", "203.0.113.8/32"),
        ("::ffff:203.0.113.8/120", "203.0.113.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("::1", "::1/128"),
    ],
)
def test_a_network(written: str, network: str) -> None:
    assert str(read_network(written)) == network


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("203.0.113.8", "203.0.113.8"),
        ("::ffff:203.0.113.8", "203.0.113.8"),
        ("::FFFF:cb00:7108", "203.0.113.8"),
        ("::cb00:7108", "::cb00:7108"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_an_address(written: str, address: str) -> None:
    assert str(read_address(written)) == address


@pytest.mark.parametrize("text", ["", "nonsense", "203.0.113.8/33", "::ffff:203.0.113.8/129", "1.2.3"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_network(text)
