"""The sandbox's accounts, kept in a file across restarts if one is given."""

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
"""How every line of the file begins. An incomplete last line that begins otherwise is not ours: don't cut it off."""


class UsernameTaken(Exception):
    """Raised if an account with this username exists, ignoring case."""


@dataclass(frozen=True, kw_only=True)
class Account:
    id: str
    properties: dict[str, Any]
    """As they were sent, without the password."""
    exists_at: float = 0
    """When the account starts to exist, in seconds since the epoch; 0 is at once."""
    listed_at: float = 0
    """When the partner's list starts to show it, in the same way."""

    @property
    def username(self) -> str:
        return str(self.properties["username"])

    @property
    def owner(self) -> str:
        """The name of the account owner."""
        return f"{self.properties['first_name']} {self.properties['last_name']}"

    @property
    def is_managed(self) -> bool:
        """Whether the partner may log in to it; always true with single billing."""
        return bool(self.properties.get("managed_site_owner") or self.properties.get("single_billing"))


class Accounts:
    """All accounts; append-only. With a `file` (JSON lines), an account is on disk before `create` returns.

    Raises OSError if the file can't be used, ValueError if it is not a file of accounts.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._by_name: dict[str, Account] = {}
        for account in _read(file) if file else ():
            self._by_name[account.username.lower()] = account

    def create(self, properties: dict[str, Any], *, exists_in: float = 0, listed_in: float = 0) -> Account:
        """Create an account that exists after `exists_in` seconds and is listed after `listed_in`.

        Until the account exists its username is free, and another account can take it. Raises UsernameTaken.
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
        """Return username → account, oldest first."""
        now = time.time()
        with self._lock:
            return {account.username: account for account in self._by_name.values() if account.exists_at <= now}

    def page(self, start: int, limit: int, managed: bool | None = None) -> tuple[list[Account], int | None]:
        """Return up to `limit` listed accounts from position `start` on, and the next page's position or None."""
        now = time.time()
        with self._lock:
            accounts = list(self._by_name.values())
        listed = [
            at
            for at in range(start, len(accounts))
            if accounts[at].listed_at <= now and managed in (None, accounts[at].is_managed)
        ]
        return [accounts[at] for at in listed[:limit]], next(iter(listed[limit:]), None)


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
    """Read the file. Removes an incomplete last line, left by a crash: no client was told of that account."""
    file.touch(0o600)
    whole, newline, incomplete = file.read_bytes().rpartition(b"\n")
    try:
        accounts = [Account(**json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError):
        raise ValueError("it is not a file of sandbox accounts") from None
    if not incomplete.startswith(_OPENING[: len(incomplete)]):
        raise ValueError("it is not a file of sandbox accounts")
    os.truncate(file, len(whole + newline))
    return accounts
