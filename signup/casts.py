"""Casts of settings: each returns the value of a text, or raises ValueError that says what the text must be."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from provisioning.networks import read_network


def boolean(text: str) -> bool:
    if text.lower() not in {"true", "yes", "on", "1", "false", "no", "off", "0"}:
        raise ValueError("must be true or false")
    return text.lower() in {"true", "yes", "on", "1"}


def number(cast: type, least: float) -> Callable[[str], Any]:
    def of(text: str) -> Any:
        try:
            value = cast(text)
        except ValueError:
            value = None
        if value is None or not least <= value < float("inf"):
            raise ValueError(f"must be a {'whole ' if cast is int else ''}number, {least} or more")
        return value

    return of


def one_of(*choices: str) -> Callable[[str], str]:
    def of(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return of


def url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("must start with https:// (or http://, for a sandbox on this machine)")
    if "@" in urlsplit(text).netloc:  # Staff see addresses.
        raise ValueError("must not contain a username or a password")
    return text


def dsn(text: str) -> str:
    """Read an address like https://key@example.com/1, which no page shows."""
    url(re.sub("//[^/@]*@", "//", text, count=1))
    return text


def color(text: str) -> str:
    if not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise ValueError("must look like #2454d6")
    return text.lower()


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def lengths(text: str) -> dict[str, int]:
    try:
        return {name.strip(): int(length) for name, length in (word.split("=") for word in words(text))}
    except ValueError:
        raise ValueError("must look like username=6,password=12") from None


def networks(text: str) -> list[str]:
    try:
        return [str(read_network(word)) for word in words(text)]
    except ValueError:
        raise ValueError("must be addresses or networks, like 127.0.0.1,172.16.0.0/12") from None


def time_zone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError("must be a name like America/New_York")
    return text


def require_quoted(address: str) -> None:
    """Raise ValueError if the user or password in a URL has characters that would be read as something else."""
    login = re.match(r"[\w+]+://(.*)@", address)
    if login and not address.startswith("sqlite") and re.search(r"[/?#]|%(?![0-9A-Fa-f]{2})", login[1]):
        raise ValueError(
            "has a special character in its username or password: write % as %25, / as %2F, ? as %3F, # as %23"
        )
