"""Secrets at rest."""

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from provisioning.sealed import NOTHING, CannotOpen, Sealed, SealedField

SECRET = "canary.Customer_1"


def test_a_sealed_secret_opens_again() -> None:
    assert Sealed.of(SECRET).open() == SECRET


def test_an_empty_string_gives_an_empty_seal() -> None:
    assert Sealed.of("") == NOTHING
    assert not NOTHING
    assert NOTHING.open() == ""


def test_a_sealed_secret_is_never_shown() -> None:
    sealed = Sealed.of(SECRET)
    for shown in (repr(sealed), str(sealed), f"{sealed}", f"{[sealed]}"):
        assert SECRET not in shown
        assert sealed.ciphertext not in shown
    assert SECRET not in sealed.ciphertext


def test_sealing_a_secret_twice_gives_different_ciphertexts() -> None:
    assert Sealed.of(SECRET) != Sealed.of(SECRET)
    assert len({Sealed.of(SECRET), NOTHING, Sealed("")}) == 2


def test_the_first_key_seals_and_every_key_opens(settings: Settings) -> None:
    old = Sealed.of(SECRET)
    settings.SEALING_KEYS = [Fernet.generate_key().decode(), *settings.SEALING_KEYS]
    assert old.open() == SECRET
    new = Sealed.of(SECRET)
    settings.SEALING_KEYS = settings.SEALING_KEYS[:1]
    assert new.open() == SECRET
    with pytest.raises(CannotOpen, match="SEALING_KEYS"):
        old.open()


def test_a_sealed_column_refuses_plain_text() -> None:
    with pytest.raises(TypeError, match="unencrypted"):
        SealedField().get_prep_value(SECRET)
