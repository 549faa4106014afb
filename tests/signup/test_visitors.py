"""The address that a visit is counted under."""

import logging

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from pytest_django import Settings

from signup import visitors
from signup.casts import networks
from signup.visitors import first_address, network

pytestmark = pytest.mark.django_db

PROXIES = ["10.0.0.1/32", "172.16.0.0/12", "2001:db8:ffff::/48"]
VISITOR, FORGED = "203.0.113.7", "198.51.100.66"


@pytest.mark.once
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
        ("10.0.0.1", f"nonsense, {VISITOR}", VISITOR),
        ("::ffff:203.0.113.7", "", VISITOR),
        ("10.0.0.1", "2001:db8::7", "2001:db8::"),
        # Some proxies add a port.
        ("10.0.0.1", "203.0.113.7:51234", VISITOR),
        ("10.0.0.1", f"{FORGED}, 203.0.113.7:51234", VISITOR),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::"),
        ("10.0.0.1", f"{VISITOR}:51234, 172.17.0.1:80", VISITOR),
        ("10.0.0.1", "[::ffff:203.0.113.7]:443", VISITOR),
    ],
)
def test_the_last_hop_that_is_not_our_proxy_is_the_visitor(
    settings: Settings, peer: str, forwarded: str, visitor: str
) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert first_address(RequestFactory(REMOTE_ADDR=peer).get("/", headers=headers)) == visitor


@pytest.mark.once
@pytest.mark.parametrize("proxy", ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"])
@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1"])
def test_a_proxy_may_be_named_as_a_server_that_listens_on_ipv6_sees_it(
    settings: Settings, proxy: str, peer: str
) -> None:
    settings.TRUSTED_PROXIES = networks(proxy)
    request = RequestFactory(REMOTE_ADDR=peer).get("/", headers={"X-Forwarded-For": VISITOR})

    assert first_address(request) == VISITOR


@pytest.mark.once
@pytest.mark.parametrize(
    ("peer", "forwarded", "counted_as"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "_hidden", "10.0.0.1"),
        ("10.0.0.1", " ", "10.0.0.1"),
        ("10.0.0.1", f"{VISITOR},", "10.0.0.1"),
        ("10.0.0.1", f"{VISITOR}, nonsense", "10.0.0.1"),
        ("10.0.0.1", f"{VISITOR}, unknown, 172.17.0.1", "172.17.0.1"),
        ("10.0.0.1", "2001:db8::1:443:1:2:3:4:5", "10.0.0.1"),
        ("", VISITOR, "unknown"),
        ("", "", "unknown"),
        ("10.0.0.2", VISITOR, "10.0.0.2"),  # A proxy that is not in TRUSTED_PROXIES: no visitor has a private address.
    ],
)
def test_a_silent_proxy_counts_as_the_last_hop_and_is_reported_once_an_hour(
    settings: Settings, caplog: pytest.LogCaptureFixture, peer: str, forwarded: str, counted_as: str
) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory(REMOTE_ADDR=peer).get("/", headers=headers)

    with caplog.at_level(logging.WARNING):
        assert [network(request), network(request)] == [counted_as, counted_as]

    (warning,) = caplog.messages
    assert "X-Forwarded-For" in warning
    assert VISITOR not in warning
    assert visitors.has_hidden_visitors()


def test_forged_headers_are_not_reported(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    for peer, forwarded in (("8.8.8.8", "unknown"), ("10.0.0.1", "unknown, 8.8.8.8")):
        network(RequestFactory(REMOTE_ADDR=peer).get("/", headers={"X-Forwarded-For": forwarded}))

    assert not visitors.has_hidden_visitors()


@pytest.mark.parametrize("hidden", [True, False])
def test_the_overview_warns_of_hidden_visitor_addresses(client: Client, settings: Settings, hidden: bool) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    client.force_login(User.objects.create_superuser("ana"))
    network(RequestFactory(REMOTE_ADDR="10.0.0.1" if hidden else "8.8.8.8").get("/"))

    assert ("reverse proxy hides" in client.get("/admin/").content.decode()) == hidden


def test_without_proxies_forwarded_headers_are_ignored(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = []

    request = RequestFactory(REMOTE_ADDR="10.0.0.1").get("/", headers={"X-Forwarded-For": FORGED})

    assert first_address(request) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "counted_as", "first"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::/64", "fe80::"),
        ("", "unknown", None),
    ],
)
def test_an_ipv6_64_counts_as_one_visitor(settings: Settings, address: str, counted_as: str, first: str | None) -> None:
    settings.TRUSTED_PROXIES = []
    request = RequestFactory(REMOTE_ADDR=address).get("/")

    assert network(request) == counted_as
    assert first_address(request) == first


def test_only_a_trusted_proxy_can_say_that_a_request_used_https(client: Client, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT = True

    def status(peer: str) -> int:
        return client.get("/", headers={"X-Forwarded-Proto": "https"}, REMOTE_ADDR=peer).status_code

    assert [status("10.0.0.1"), status(VISITOR), status("")] == [200, 301, 301]
