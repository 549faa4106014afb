"""Secrets at rest: a model field that is encrypted in the database and stays encrypted in memory until opened.

Keys are Fernet keys (https://cryptography.io/en/latest/fernet/) in the setting SEALING_KEYS, newest first. The first
key seals, all keys open, so to rotate keys add a new one in front.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.utils.deconstruct import deconstructible

LOST = "Sealed with a key that is not in SEALING_KEYS. Add the old key back at the end of the list."


class CannotOpen(Exception):
    """Raised for a secret that is missing, or that was sealed with a key that is no longer in SEALING_KEYS."""


@deconstructible
class Sealed:
    """A secret that only `open()` reveals: it never appears in a repr, a log line or an f-string."""

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    @classmethod
    def of(cls, text: str) -> Sealed:
        """Seal `text`. An empty string gives an empty seal, which is falsy."""
        return cls(keyring().encrypt(text.encode()).decode() if text else "")

    def open(self) -> str:
        """Return the secret. Raises CannotOpen if none of the SEALING_KEYS fits."""
        if not self.ciphertext:
            return ""
        try:
            return keyring().decrypt(self.ciphertext.encode()).decode()
        except InvalidToken:
            raise CannotOpen(LOST) from None

    def resealed(self) -> Sealed:
        """Return the secret sealed with the first key: itself if it already is. Raises CannotOpen if no key fits."""
        try:
            Fernet(settings.SEALING_KEYS[0]).decrypt(self.ciphertext.encode())
            return self
        except InvalidToken:
            pass
        try:
            return Sealed(keyring().rotate(self.ciphertext.encode()).decode())
        except InvalidToken:
            raise CannotOpen(LOST) from None

    def __bool__(self) -> bool:
        return bool(self.ciphertext)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.ciphertext == self.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)

    def __repr__(self) -> str:
        return "Sealed(…)" if self else "Sealed()"


def keyring() -> MultiFernet:
    """Return SEALING_KEYS as a keyring: the first key seals, all keys open."""
    return _keyring(*settings.SEALING_KEYS)


@cache
def _keyring(*keys: str) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


if TYPE_CHECKING:
    _TextField = models.TextField[Sealed, Sealed]
else:
    _TextField = models.TextField


class SealedField(_TextField):
    """A text column that stores only ciphertext; a `Sealed` in Python. Empty means that no secret is stored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(blank=True, editable=False, default=NOTHING)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        for fixed in ("blank", "editable", "default"):
            del kwargs[fixed]
        return name, path, args, kwargs

    def from_db_value(self, value: str, *_: Any) -> Sealed:
        return Sealed(value)

    def get_lookup(self, lookup_name: str) -> Any:
        """Allow only `exact`: the database can be asked whether there is a secret, and nothing else."""
        return super().get_lookup(lookup_name) if lookup_name == "exact" else None

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str:
        if not isinstance(value, Sealed):
            raise TypeError("A sealed field takes only a Sealed, so that no secret is stored unencrypted by mistake.")
        return value.ciphertext


NOTHING = Sealed("")
