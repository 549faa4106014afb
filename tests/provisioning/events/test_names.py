"""No name leads into a private network, in front of a real name server, real sockets, and nothing patched.

Every address of the test's network leads to a receiver, so a call that must not arrive would arrive.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from provisioning import gateway
from provisioning.events import calls
from provisioning.events.addresses import REFUSED, UNENCRYPTED
from provisioning.events.calls import Call, Result
from provisioning.models import Delivery, Endpoint, NoticeRule
from provisioning.notices import incidents, sending
from provisioning.sealed import Sealed
from tests.provisioning.events.internet import Impossible, Internet, Seen, internet
from tests.provisioning.events.queue import an_event, deliver, endpoint
from tests.provisioning.events.receiver import Answer
from tests.provisioning.events.test_addresses import NOTATIONS, PRIVATE

pytestmark = pytest.mark.slow

CRM = "https://crm.example.com/events"
HOST, OTHER = "crm.example.com", "other.example.net"
PUBLIC, PUBLIC_6 = "93.184.215.14", "2606:4700::1111"
INSIDE = [address for address in PRIVATE if "%" not in address]
"""Name servers give no zones."""
REACHABLE = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "64:ff9b::7f00:1", "2002:7f00:1::1"]
REDIRECTS = (301, 302, 303, 307, 308)


@pytest.fixture(scope="module")
def net(django_db_setup: None) -> Iterator[Internet]:
    try:
        with internet() as started:
            yield started
    except Impossible as why:
        pytest.skip(f"This system allows no network of its own: {why}")


def post(*urls: str) -> list[Result]:
    """Make the calls that the deliverer makes, one after another."""
    return [calls.make(Call(url, {}, b"{}")) for url in urls]


def problems(seen: Seen) -> list[str]:
    return [result.problem for result in seen.returned]


class TestThisNetwork:
    """Without these, the others would prove nothing."""

    def test_delivers_to_a_public_address(self, net: Internet) -> None:
        for address in (PUBLIC, PUBLIC_6):
            seen = net.run(post, CRM, names={HOST: [address]})
            assert (seen.returned[0].status, seen.connected, seen.bodies) == (204, [address], [b"{}"])

    def test_has_receivers_at_private_addresses(self, net: Internet) -> None:
        seen = net.run(connect, REACHABLE)
        assert seen.connected == REACHABLE

    def test_delivers_to_a_private_address_that_is_opted_in(self, net: Internet) -> None:
        for address in ("10.0.0.1", "fd00:ec2::254"):
            seen = net.run(post, CRM, names={HOST: [address]}, opted_in=("10.0.0.0/8", "fd00::/16"))
            assert (seen.returned[0].status, seen.connected) == (204, [address])


def connect(addresses: list[str]) -> None:
    for address in addresses:
        socket.create_connection((address, 443), 5).close()


class TestANameServer:
    @pytest.mark.parametrize(
        "inside", ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "fd00:ec2::254"]
    )
    def test_that_rebinds_a_name_is_believed_only_while_it_is_public(self, net: Internet, inside: str) -> None:
        """The first look-up of each call is the only one, so the second answer meets the next call."""
        seen = net.run(post, *[CRM] * 6, names={HOST: [PUBLIC, inside]})
        assert seen.connected == [PUBLIC] * 3
        assert [result.status for result in seen.returned] == [204, None] * 3
        assert problems(seen) == ["", REFUSED] * 3

    @pytest.mark.parametrize("inside", INSIDE)
    @pytest.mark.parametrize(
        "answer",
        ["{}", f"{PUBLIC} {{}}", f"{{}} {PUBLIC}", f"{PUBLIC} {PUBLIC_6} {{}}"],
        ids=["alone", "last", "first", "both"],
    )
    def test_that_names_a_private_address_leads_nowhere(self, net: Internet, answer: str, inside: str) -> None:
        seen = net.run(post, CRM, names={HOST: [answer.format(inside)]})
        assert (problems(seen), seen.connected) == ([REFUSED], [])

    @pytest.mark.parametrize("inside", ["10.0.0.1", "::1", "::ffff:169.254.169.254"])
    def test_that_hides_it_behind_other_names_leads_nowhere(self, net: Internet, inside: str) -> None:
        chain = {HOST: ["a.example.net"], "a.example.net": ["b.example.net"], "b.example.net": [inside]}
        seen = net.run(post, CRM, names=chain)
        assert (problems(seen), seen.connected) == ([REFUSED], [])

    def test_that_rebinds_the_end_of_a_chain_gains_nothing(self, net: Internet) -> None:
        seen = net.run(post, CRM, CRM, names={HOST: [OTHER], OTHER: [PUBLIC, "10.0.0.1"]})
        assert (problems(seen), seen.connected) == (["", REFUSED], [PUBLIC])

    def test_that_calls_a_name_localhost_leads_nowhere(self, net: Internet) -> None:
        seen = net.run(post, CRM, names={HOST: ["localhost"], "localhost": ["127.0.0.1"]})
        assert (problems(seen), seen.connected) == ([REFUSED], [])

    def test_that_knows_no_such_name_is_a_problem(self, net: Internet) -> None:
        seen = net.run(post, CRM)
        assert (problems(seen), seen.connected) == (["The host name can't be resolved."], [])


@pytest.mark.parametrize("host", [f"{HOST}.", "CRM.Example.COM", "crm", "crm%2eexample.com", "c\u00adrm.example.com"])
def test_no_spelling_of_a_name_leads_to_its_private_address(net: Internet, host: str) -> None:
    """Among them one that the system completes to its own domain."""
    names = {HOST: ["10.0.0.1"], "crm.example.net": ["10.0.0.1"], "crm": ["10.0.0.1"]}
    seen = net.run(post, f"https://{host}/events", f"http://{host}/events", names=names)
    assert seen.connected == []
    assert all(problems(seen))


def test_no_notation_of_an_address_leads_there(net: Internet) -> None:
    assert len(NOTATIONS) > 30
    for scheme in ("https", "http"):
        seen = net.run(post, *(f"{scheme}://{host}/" for host in NOTATIONS))
        assert seen.connected == []
        assert all(problems(seen))


def test_no_redirect_leads_there(net: Internet) -> None:
    """A redirect to any notation of an address, or to a name, and none to a public address either."""
    names = {HOST: [PUBLIC], OTHER: ["10.0.0.1"]}
    for status in REDIRECTS:
        for host in [*NOTATIONS, OTHER, HOST]:
            for scheme in ("https", "http"):
                elsewhere = Answer(status, headers={"Location": f"{scheme}://{host}/".encode().decode("latin-1")})
                seen = net.run(post, CRM, names=names, answer=elsewhere)
                assert (seen.returned[0].status, seen.connected) == (status, [PUBLIC])


def test_without_encryption_no_public_address_is_reached(net: Internet) -> None:
    seen = net.run(post, "http://crm.example.com/", names={HOST: [PUBLIC]}, opted_in=("10.0.0.0/8",))
    assert (problems(seen), seen.connected) == ([UNENCRYPTED], [])


def work_with_endpoints_and_channels() -> list[str]:
    """Deliver events to an endpoint, and notices to channels of Slack and Teams. Return what staff see of it."""
    NoticeRule.objects.all().delete()
    for channel in ("slack", "teams"):
        NoticeRule.objects.create(name=channel, incidents=["stopped"], channel=channel, url=Sealed.of(CRM))
    receiving = endpoint(CRM)
    for _ in range(2):
        an_event()
        Endpoint.objects.update(failing_since=None)
        deliver()

    gateway.stop("The key is inactive.")
    incidents.watch()
    sending.send_due()
    deliveries = Delivery.objects.filter(endpoint=receiving).order_by("pk")
    told = NoticeRule.objects.order_by("channel").values_list("problem", flat=True)
    return [*(each.attempts.get().problem for each in deliveries), *told]


@pytest.mark.database
def test_the_worker_calls_neither_endpoints_nor_channels_there(net: Internet, transactional_db: None) -> None:
    """Everything whose URL staff type in: event endpoints, Slack, and Teams."""
    seen = net.run(work_with_endpoints_and_channels, names={HOST: [PUBLIC, "10.0.0.1"]})
    assert seen.connected == [PUBLIC, PUBLIC]
    assert seen.returned == ["", REFUSED, "", REFUSED]
