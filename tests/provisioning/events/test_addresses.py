"""No way into a private network: whatever the notation, the name server's answer, or the protocol."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from provisioning.events import calls
from provisioning.events.addresses import REFUSED, UNENCRYPTED, AddressRefused, check, check_url
from provisioning.events.calls import Call
from tests.provisioning.events.receiver import Answer, Receiver

PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::7f00:1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1111%eth0",
]
NOTATIONS = [
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "127.0.0.1.",
    "0",
    "10.1",
    "167772161",
    "0xa9fea9fe",
    "2852039166",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0a00:0001]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[2002:7f00:1::]",
    "[fd00:ec2::254]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "ip6-localhost",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "anna@127.0.0.1",
    "crm.example.com@127.0.0.1",
    "crm.example.com\\@127.0.0.1",
    "127.0.0.1#crm.example.com",
    "127.0.0.1?crm.example.com",
]
PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:1.1.1.1"]

Lookup = Callable[..., list[Any]]


@pytest.fixture(autouse=True)
def nothing_is_opted_in(settings: Settings) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = []


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record each address that a connection is made to, instead of making it."""
    to: list[Any] = []

    def connect(sock: socket.socket, address: Any) -> None:
        to.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return to


def resolves(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Answer each look-up of a name with the next of these lists of addresses, the last one forever."""
    left = list(answers)
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **named: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [info for address in found for info in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def post(url: str) -> calls.Result:
    return calls.make(Call(url, {}, b"{}"))


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused, match="WEBHOOK_PRIVATE_NETWORKS"):
        check(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_accepted(address: str) -> None:
    check(ip_address(address))
    with pytest.raises(AddressRefused, match="https"):
        check(ip_address(address), encrypted=False)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", NOTATIONS)
def test_no_notation_leads_to_a_private_address(host: str, scheme: str, connected: list[Any]) -> None:
    result = post(f"{scheme}://{host}:8000/")
    assert connected == []
    assert result.status is None
    assert result.problem


@pytest.mark.parametrize("address", PRIVATE)
def test_no_name_leads_to_a_private_address(
    address: str, connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = address.partition("%")[0]  # There is no such interface here.
    if name == address or name.startswith("fe80"):
        resolves(monkeypatch, [name])
        assert post("https://crm.example.com/").problem == REFUSED
        resolves(monkeypatch, ["93.184.215.14", name])
        assert post("https://crm.example.com/").problem == REFUSED
        assert connected == []


def test_a_name_that_resolves_differently_the_second_time_gains_nothing(
    connected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    post("https://crm.example.com/")
    assert connected == [("93.184.215.14", 443)]
    assert post("https://crm.example.com/").problem == REFUSED
    assert connected == [("93.184.215.14", 443)]


def test_the_connected_socket_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if something between the check and the connection changed the address."""
    real = socket.socket.connect
    with Receiver() as receiver:
        port = int(receiver.url.split(":")[2].partition("/")[0])
        monkeypatch.setattr(socket.socket, "connect", lambda sock, to: real(sock, ("127.0.0.1", port)))
        resolves(monkeypatch, ["93.184.215.14"])
        assert post("https://crm.example.com/").problem == REFUSED
        assert receiver.received == []


def test_redirects_are_not_followed(settings: Settings) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = ["127.0.0.1"]
    with Receiver() as inside, Receiver() as receiver:
        for status in (301, 302, 303, 307, 308):
            receiver.answer = lambda received, status=status: redirect(status, inside.url)  # type: ignore[misc]
            result = post(receiver.url)
            assert (result.status, result.is_delivered) == (status, False)
        assert inside.received == []


def redirect(status: int, location: str) -> Answer:
    return Answer(status, headers={"Location": location})


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"])
def test_no_proxy_of_the_environment_is_used(name: str, connected: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:3128")
    resolves(monkeypatch, ["93.184.215.14"])
    post("https://crm.example.com/")
    assert connected == [("93.184.215.14", 443)]


class TestAnOptedInNetwork:
    @pytest.fixture(autouse=True)
    def opted_in(self, settings: Settings) -> None:
        settings.WEBHOOK_PRIVATE_NETWORKS = ["10.1.0.0/16", "::ffff:10.3.0.0/112", "fd00::/64"]

    @pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "10.3.2.1", "::ffff:10.3.2.1", "fd00::5"])
    def test_can_be_reached_with_and_without_encryption(self, address: str) -> None:
        for encrypted in (True, False):
            check(ip_address(address), encrypted=encrypted)

    @pytest.mark.parametrize("address", ["10.2.0.1", "127.0.0.1", "fd00:1::5", "fd00::5%eth0"])
    def test_opens_no_other(self, address: str) -> None:
        with pytest.raises(AddressRefused):
            check(ip_address(address))


class TestAUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "crm.example.com",
            "ftp://crm.example.com/",
            "https://",
            "https:///events",
            "https://[::1",
            "https://crm.example.com:99999/",
            "https://crm example.com/",
            "https://crm.example.com\\@10.0.0.1/",
            "https://anna:secret@crm.example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            *(f"https://{address}/" for address in ("127.0.0.1", "2130706433", "0x7f.1", "10.0.0.1", "[::1]")),
        ],
    )
    def test_that_can_never_work_is_refused_when_it_is_entered(self, url: str) -> None:
        with pytest.raises(ValidationError):
            check_url(url)

    @pytest.mark.parametrize(
        "url", ["https://crm.example.com/events?key=1", "https://1.1.1.1:8443/", "https://münchen.example/"]
    )
    def test_that_may_work_is_accepted(self, url: str) -> None:
        check_url(url)

    def test_without_encryption_is_for_opted_in_networks(self, settings: Settings) -> None:
        with pytest.raises(ValidationError, match="https"):
            check_url("http://crm.example.com/")
        settings.WEBHOOK_PRIVATE_NETWORKS = ["10.1.0.0/16"]
        check_url("http://10.1.0.1/")
        with pytest.raises(ValidationError, match="https"):
            check_url("http://1.1.1.1/")
        check_url("http://crm.internal.example/")  # Checked when it is resolved.

    def test_without_encryption_reaches_no_public_address(
        self, settings: Settings, connected: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.WEBHOOK_PRIVATE_NETWORKS = ["10.1.0.0/16"]
        resolves(monkeypatch, ["93.184.215.14"])
        assert post("http://crm.example.com/").problem == UNENCRYPTED
        assert connected == []
