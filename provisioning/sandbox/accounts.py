"""The accounts that the sandbox has made, kept in a file over restarts where one is given."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_OPENING = b'{"id": "'
"""How every line of the file begins: what else stands at the end of a file is not ours to cut off."""


class UsernameTaken(Exception):
    """There is an account of this user name, in whatever spelling of capitals."""


@dataclass(frozen=True, kw_only=True)
class Account:
    id: str
    properties: dict[str, Any]
    """As they were sent, without the password."""
    exists_at: float = 0
    """When the account comes into being, in seconds since the epoch; 0 is at once."""
    listed_at: float = 0
    """When it shows up in the partner's list, likewise."""

    @property
    def username(self) -> str:
        return str(self.properties["username"])

    @property
    def owner(self) -> str:
        """The person whose account it is."""
        return f"{self.properties['first_name']} {self.properties['last_name']}"

    @property
    def is_managed(self) -> bool:
        """Whether the partner may log in to it, as it always is with single billing."""
        return bool(self.properties.get("managed_site_owner") or self.properties.get("single_billing"))


class Accounts:
    """Append-only. With a `file` (JSON lines), an account is on the disk before `create` returns.

    Raises OSError where the file cannot be used, ValueError where it holds something else.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._by_name: dict[str, Account] = {}
        for account in _read(file) if file else ():
            self._by_name[account.username.lower()] = account

    def create(self, properties: dict[str, Any], *, exists_in: float = 0, listed_in: float = 0) -> Account:
        """Make an account, after `exists_in` seconds, that is listed after `listed_in`. Raises UsernameTaken.

        While an account is yet to come into being its user name is free; who takes it first has it.
        """
        account = Account(
            id=str(secrets.randbelow(10**15)),
            properties=properties,
            exists_at=_time_in(exists_in),
            listed_at=_time_in(max(exists_in, listed_in)),
        )
        name = account.username.lower()
        with self._lock:
            known = self._by_name.get(name)
            if known and known.exists_at <= time.time():
                raise UsernameTaken
            if self._file:
                _append(self._file, account)
            self._by_name[name] = account
        return account

    def existing(self) -> dict[str, Account]:
        """User name → account, oldest first."""
        now = time.time()
        with self._lock:
            return {account.username: account for account in self._by_name.values() if account.exists_at <= now}

    def page(self, start: int, limit: int, managed: bool | None = None) -> tuple[list[Account], int | None]:
        """Up to `limit` listed accounts from position `start` on, and the position of the next page, or None."""
        now = time.time()
        with self._lock:
            everyone = list(self._by_name.values())
        listed = [
            at
            for at in range(start, len(everyone))
            if everyone[at].listed_at <= now and managed in (None, everyone[at].is_managed)
        ]
        return [everyone[at] for at in listed[:limit]], next(iter(listed[limit:]), None)


def _time_in(seconds: float) -> float:
    return time.time() + seconds if seconds else 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _append(file: Path, account: Account) -> None:
    with open(file, "ab", opener=_private) as lines:
        lines.write(json.dumps(asdict(account)).encode() + b"\n")
        lines.flush()
        os.fsync(lines.fileno())


def _read(file: Path) -> list[Account]:
    """The accounts in the file. A last line that a crash has torn was never answered for, and is cut off."""
    file.touch(0o600)
    whole, newline, torn = file.read_bytes().rpartition(b"\n")
    try:
        accounts = [Account(**json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError):
        raise ValueError("it holds something else") from None
    if not torn.startswith(_OPENING[: len(torn)]):
        raise ValueError("it holds something else")
    os.truncate(file, len(whole + newline))
    return accounts
