"""A name server for tests that may answer each question differently, with a time to live of zero (RFC 1035).

Three kinds of records are all that it takes, so there is no library behind it.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from ipaddress import ip_address

PORT = 53
A, CNAME, AAAA = 1, 5, 28
KINDS = {4: A, 6: AAAA}
ANSWER, NO_SUCH_NAME = 0x8580, 0x8583
"""Flags of an authoritative answer from a server that looks names up for others, without an error and with one."""

Names = dict[str, list[str]]
"""Name → its successive answers, over and over again. Each is addresses and names that it is another name for,
separated by blanks."""
Record = tuple[str, int, bytes]


class NameServer:
    """Answers on this machine's loopback address, for as long as the process lives."""

    def __init__(self) -> None:
        self._names: Names = {}
        self._asked = Counter[tuple[str, int]]()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", PORT))
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, names: Names) -> None:
        self._names = names
        self._asked.clear()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            with suppress(OSError):
                self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode().lower())
            at += length + 1
        [kind] = struct.unpack_from("!H", question, at + 1)
        name = ".".join(labels)
        records = self._records(name, kind)
        flags = ANSWER if name in self._names else NO_SUCH_NAME
        head = question[:2] + struct.pack("!5H", flags, 1, len(records), 0, 0)
        return head + question[12 : at + 5] + b"".join(map(_encoded, records))

    def _records(self, name: str, kind: int) -> list[Record]:
        answers = self._names.get(name)
        if not answers:
            return []
        answer = answers[self._asked[name, kind] % len(answers)]
        self._asked[name, kind] += 1
        found: list[Record] = []
        for written in answer.split():
            try:
                address = ip_address(written)
            except ValueError:
                found += [(name, CNAME, _encoded_name(written)), *self._records(written, kind)]
            else:
                found += [(name, kind, address.packed)] if KINDS[address.version] == kind else []
        return found


def _encoded(record: Record) -> bytes:
    name, kind, data = record
    return _encoded_name(name) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


def _encoded_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
