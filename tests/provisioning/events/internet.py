"""A network of its own, in which every address leads to one receiver, and names resolve as a test says.

It is a process in namespaces of Linux: a network whose loopback interface has all addresses, a name server, and files
of the system that name this server and trust this receiver's certificate. Nothing is patched, so what connects to an
address here would connect to it anywhere.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv6Address
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import certifi
import django
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from tests.certificates import certify
from tests.provisioning.events.name_server import Names, NameServer
from tests.provisioning.events.receiver import Answer, Receiver, Server
from tests.provisioning.sandbox.partner import until

NEW_MOUNTS, NEW_USER, NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
CERTIFIED = ("*.example.com", "*.example.net")
EVERY_ADDRESS = "link set lo up\nroute add local 0.0.0.0/0 dev lo\nroute add local ::/0 dev lo\n"
FILES = {
    "/etc/resolv.conf": "nameserver 127.0.0.1\nsearch example.net\noptions timeout:2 attempts:2\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
}
PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"))
PORTS = (80, 443)
LAST = "198.18.99.99"
"""Where a last connection is made: each server accepts them in order."""
PROXY = "http://10.99.99.99:80"

Work = Callable[..., Any]


class Impossible(Exception):
    """Raised where the system allows no network of one's own."""


@dataclass(frozen=True)
class Seen:
    """What work returned, the addresses that it connected to, and what the receiver got."""

    returned: Any
    connected: list[str]
    bodies: list[bytes]


class Internet:
    """The side of the tests. `run` carries work out in the network; it must be a function of a module."""

    def __init__(self, there: Connection) -> None:
        self._there = there

    def run(
        self,
        work: Work,
        *arguments: Any,
        names: Names | None = None,
        answer: Answer | None = None,
        opted_in: tuple[str, ...] = (),
    ) -> Seen:
        self._there.send((work, arguments, names or {}, answer or Answer(), list(opted_in)))
        seen = self._there.recv()
        if isinstance(seen, Exception):
            raise seen
        assert isinstance(seen, Seen)
        return seen


@contextmanager
def internet() -> Iterator[Internet]:
    """Start a network. Raises Impossible."""
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    process = processes.Process(target=_live, args=(there, connection.settings_dict), daemon=True)
    process.start()
    there.close()
    try:
        if isinstance(problem := here.recv(), Exception):
            raise Impossible(str(problem))
        yield Internet(here)
    finally:
        here.close()
        process.join(10)
        process.kill()


def _live(tests: Connection, database: dict[str, Any]) -> None:
    """Carry out what the tests send, until they are over."""
    django.setup()
    connection.settings_dict.update(database)
    connection.ensure_connection()  # The database server is in the network that is left now.
    try:
        with tempfile.TemporaryDirectory() as folder:
            _move(Path(folder))
            inhabitants = _Inhabitants(Path(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        tests.send(error)
        return
    tests.send(None)
    while True:
        try:
            work, arguments, names, answer, opted_in = tests.recv()
        except EOFError:
            return
        cache.clear()
        settings.WEBHOOK_PRIVATE_NETWORKS = opted_in
        inhabitants.prepare(names, answer)
        try:
            returned = work(*arguments)
            connected = inhabitants.all_connected()
            tests.send(Seen(returned, connected, [each.body for each in inhabitants.received]))
        except Exception as error:
            tests.send(error)


def _move(folder: Path) -> None:
    """Move this process, which has no other threads yet, into a network and file system of its own."""
    me, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_MOUNTS | NEW_NETWORK | (NEW_USER if me else 0)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if me:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {me} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    subprocess.run(["ip", "-batch", "-"], input=EVERY_ADDRESS, text=True, check=True, capture_output=True)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, capture_output=True)
    certify(folder / "certificate.pem", folder / "key.pem", *CERTIFIED)
    for path, text in FILES.items():
        (folder / Path(path).name).write_text(text)
        _cover(path, folder / Path(path).name)
    _cover(certifi.where(), folder / "certificate.pem")
    os.environ.update(dict.fromkeys(PROXIES, PROXY))


def _cover(path: str, other: Path) -> None:
    subprocess.run(["mount", "--bind", other, path], check=True, capture_output=True)


class _Inhabitants:
    """The name server and the receivers, which listen at every address."""

    def __init__(self, folder: Path) -> None:
        self._connected: list[str] = []
        self._names = NameServer()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        servers = [_server(port, tls, self._connected) for port, tls in zip(PORTS, (None, context), strict=True)]
        self._receivers = [Receiver(server=server).__enter__() for server in servers]

    def prepare(self, names: Names, answer: Answer) -> None:
        self._names.set(names)
        self._connected.clear()
        for receiver in self._receivers:
            receiver.received.clear()
            receiver.answer = lambda received: answer

    def all_connected(self) -> list[str]:
        """Return the addresses that connections were made to, including those that were closed at once."""
        for port in PORTS:
            socket.create_connection((LAST, port)).close()
        until(lambda: self._connected.count(LAST) == len(PORTS))
        return [address for address in self._connected if address != LAST]

    @property
    def received(self) -> list[Any]:
        return [each for receiver in self._receivers for each in receiver.received]


def _server(
    port: int, tls: ssl.SSLContext | None, connected: list[str]
) -> Callable[[type[BaseHTTPRequestHandler]], Server]:
    """Return what makes a server that notes which address each connection was made to."""

    class Everywhere(Server):
        address_family = socket.AF_INET6

        def server_bind(self) -> None:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            super().server_bind()

        def get_request(self) -> tuple[socket.socket, Any]:
            sock, peer = super().get_request()
            to = IPv6Address(sock.getsockname()[0].partition("%")[0])
            connected.append(str(to.ipv4_mapped or to))
            return (tls.wrap_socket(sock, True, False) if tls else sock), peer

    return lambda handler: Everywhere(("::", port), handler)
