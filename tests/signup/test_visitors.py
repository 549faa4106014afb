"""Whose address a visit is counted under."""

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from signup.visitors import named_address, network

PROXIES = ["10.0.0.1/32", "172.16.0.0/12", "2001:db8:ffff::/48"]
VISITOR, FORGED = "203.0.113.7", "198.51.100.66"


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        (VISITOR, "", VISITOR),
        (VISITOR, FORGED, VISITOR),
        ("10.0.0.1", VISITOR, VISITOR),
        ("10.0.0.1", f"{FORGED}, {VISITOR}", VISITOR),
        ("10.0.0.1", f"{FORGED},{VISITOR},172.17.0.1", VISITOR),
        ("172.17.0.1", f"{FORGED}, 10.0.0.1, {VISITOR}", VISITOR),
        ("2001:db8:ffff::1", VISITOR, VISITOR),
        ("10.0.0.1", "172.20.0.9", "172.20.0.9"),
        ("10.0.0.1", "", None),
        ("10.0.0.1", "unknown", None),
        ("10.0.0.1", f"{VISITOR}, nonsense", None),
        ("10.0.0.1", f"nonsense, {VISITOR}", VISITOR),
        ("", VISITOR, None),
        ("::ffff:203.0.113.7", "", VISITOR),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_last_hop_that_is_no_proxy_of_ours_is_the_visitor(
    settings: Settings, peer: str, forwarded: str, visitor: str | None
) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert named_address(RequestFactory(REMOTE_ADDR=peer).get("/", headers=headers)) == visitor


def test_without_proxies_nobody_speaks_for_a_visitor(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = []

    request = RequestFactory(REMOTE_ADDR="10.0.0.1").get("/", headers={"X-Forwarded-For": FORGED})

    assert named_address(request) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_the_whole_of_one_ipv6_connection_counts_as_one(settings: Settings, address: str, counted_as: str) -> None:
    settings.TRUSTED_PROXIES = []

    assert network(RequestFactory(REMOTE_ADDR=address).get("/")) == counted_as
