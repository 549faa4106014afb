from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from pytest_django import Settings

from signup import casts
from signup.checks import check_configuration, check_encryption, check_proxy, check_static_files
from signup.settings import database, email

SINGLE_SIGN_ON = {
    "CONSTANT_CONTACT_IDP_PROVIDER": "alder",
    "CONSTANT_CONTACT_LOGIN_URL": "https://id.example.com/constant-contact",
    "SIGNUP_LINK_KEY": "canary-link-key-" + "k" * 16,
}
CLIENT = {"OIDC_CLIENT_ID": "page", "OIDC_CLIENT_SECRET": "canary-client-secret"}


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def ids(messages: list[Any]) -> list[str]:
    return [message.id for message in messages]


def test_a_complete_configuration_has_no_errors(settings: Settings) -> None:
    assert check_configuration() == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"MISTAKES": {"DEBUG": "DEBUG must be true or false."}}, "signup.E001"),
        ({"SEALING_KEYS": []}, "signup.E002"),
        ({"ALLOWED_HOSTS": []}, "signup.E003"),
        ({"CONSTANT_CONTACT_API_KEY": ""}, "signup.E004"),
        ({"CONSTANT_CONTACT_USERNAME": ""}, "signup.E005"),
        ({"CONSTANT_CONTACT_PASSWORD": ""}, "signup.E006"),
        ({"ALLOWED_HOSTS": ["https://signup.example.com"]}, "signup.E008"),
        ({"ALLOWED_HOSTS": ["signup.example.com:8000"]}, "signup.E008"),
        ({"ALLOWED_HOSTS": ["*"]}, "signup.E020"),
        ({"ALLOWED_HOSTS": ["signup.example.com", "*"]}, "signup.E020"),
        ({"SECRET_KEY": "a"}, "signup.E023"),
        ({"SECRET_KEY": "canary-" + "secret-key-of-31-charact"}, "signup.E023"),
        ({"SECRET_KEY": "x" * 50}, "signup.E023"),
        ({"METRICS_TOKEN": "canary-of-19-charac"}, "signup.E023"),
        ({"SEALING_KEYS": ["too short"]}, "signup.E009"),
        ({"SEALING_KEYS": ["not even ascii: é"]}, "signup.E009"),
        ({"CONSTANT_CONTACT_URL": "http://api.constantcontact.com"}, "signup.E010"),
        ({"CONSTANT_CONTACT_URL": "http://127.0.0.1.example.com"}, "signup.E010"),
        ({"CONSTANT_CONTACT_URL": "http:///"}, "signup.E010"),
        ({"CONSTANT_CONTACT_TOKEN_URL": "http://authz.constantcontact.com"}, "signup.E010"),
        ({"PROVISION_LEASE": 39.9}, "signup.E011"),
        ({"CONSTANT_CONTACT_MINIMUM_LENGTHS": {"user_name": 6}}, "signup.E013"),
        ({"CONSTANT_CONTACT_MINIMUM_LENGTHS": {"username": 51}}, "signup.E013"),
        ({"CONSTANT_CONTACT_MINIMUM_LENGTHS": {"gdpr_opt_out": 1}}, "signup.E013"),
        (
            {"CONSTANT_CONTACT_API": "v3", "CONSTANT_CONTACT_MINIMUM_LENGTHS": {"organization_name": 60}},
            "signup.E013",
        ),
        ({"EMAIL_URL": {"EMAIL_HOST": "mail.example.com"}, "DEFAULT_FROM_EMAIL": ""}, "signup.E014"),
        ({"SECURE_SSL_REDIRECT": True, "TRUSTED_PROXIES": []}, "signup.W001"),
        ({"OIDC_ISSUER": "https://id.example.com", **CLIENT}, "signup.W002"),
        ({"SIGNUP_LINK_KEY": "k" * 32}, "signup.W002"),
        (SINGLE_SIGN_ON | {"CONSTANT_CONTACT_IDP_PROVIDER": "x" * 21}, "signup.E015"),
        (SINGLE_SIGN_ON | {"CONSTANT_CONTACT_IDP_PROVIDER": "x" * 81, "CONSTANT_CONTACT_API": "v3"}, "signup.E015"),
        (SINGLE_SIGN_ON | {"SIGNUP_LINK_KEY": ""}, "signup.E016"),
        (SINGLE_SIGN_ON | {"CONSTANT_CONTACT_LOGIN_URL": "https://login.constantcontact.com"}, "signup.W003"),
        (SINGLE_SIGN_ON | {"OIDC_ISSUER": "http://id.example.com", **CLIENT}, "signup.E010"),
        (SINGLE_SIGN_ON | {"SIGNUP_LINK_URL": "http://my.example.com"}, "signup.E010"),
        (SINGLE_SIGN_ON | {"OIDC_ISSUER": "https://id.example.com"}, "signup.E017"),
        (SINGLE_SIGN_ON | {"OIDC_CLIENT_ID": "page"}, "signup.E017"),
        ({"OIDC_STAFF_CLAIM": "groups"}, "signup.E017"),
        ({"SIGNUP_LINK_URL": "https://my.example.com"}, "signup.E018"),
        (SINGLE_SIGN_ON | {"SIGNUP_LINK_KEY": "k" * 31}, "signup.E019"),
        pytest.param(
            SINGLE_SIGN_ON | {"SIGNUP_LINK_KEY": public(rsa.generate_private_key(65537, 1024))},
            "signup.E019",
            id="a short RSA key",
        ),
        pytest.param(
            SINGLE_SIGN_ON | {"SIGNUP_LINK_KEY": public(ec.generate_private_key(ec.SECP384R1()))},
            "signup.E019",
            id="a key on another curve",
        ),
        (SINGLE_SIGN_ON | {"SIGNUP_LINK_KEY": "-----BEGIN PRIVATE KEY-----" + "x" * 32}, "signup.E019"),
    ],
    ids=str,
)
def test_a_mistake_is_reported_with_its_id_and_a_hint(settings: Settings, changes: dict[str, Any], told: str) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    messages = check_configuration()

    assert ids(messages) == [told]
    assert all(message.hint for message in messages)
    assert "canary" not in str(messages)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "SECRET_KEY",
            "Use 32 or more random characters. "
            "`python manage.py generate_secrets` prints new ones, as lines for .env or the environment.",
        ),
        ("METRICS_TOKEN", "Use 20 or more random characters: `openssl rand -hex 32` prints some."),
    ],
)
def test_the_hint_for_a_secret_that_can_be_guessed_says_what_prints_one(
    settings: Settings, name: str, hint: str
) -> None:
    setattr(settings, name, "x" * 50)

    [message] = check_configuration()

    assert message.hint == hint


@pytest.mark.parametrize(
    "changes",
    [
        {"ALLOWED_HOSTS": ["signup.example.com", ".example.com", "[::1]"]},
        pytest.param(
            {"SEALING_KEYS": [Fernet.generate_key().decode(), Fernet.generate_key().decode()]}, id="two sealing keys"
        ),
        {"CONSTANT_CONTACT_URL": "http://127.0.0.1:8008"},
        {"CONSTANT_CONTACT_URL": "http://[::1]:8008"},
        {"CONSTANT_CONTACT_URL": "http://localhost:8008"},
        {"CONSTANT_CONTACT_URL": "http://[::ffff:127.0.0.1]:8008"},
        {"PROVISION_LEASE": 40.0, "CONSTANT_CONTACT_TIMEOUT": 30.0},
        {"SECURE_SSL_REDIRECT": True, "TRUSTED_PROXIES": ["10.0.0.1"]},
        {"EMAIL_URL": {"EMAIL_HOST": "mail.example.com"}, "DEFAULT_FROM_EMAIL": "signup@example.com"},
        SINGLE_SIGN_ON,
        SINGLE_SIGN_ON | {"SIGNUP_LINK_KEY": "", "OIDC_ISSUER": "http://localhost:9000", **CLIENT},
        pytest.param(
            SINGLE_SIGN_ON | {"SIGNUP_LINK_KEY": public(rsa.generate_private_key(65537, 2048))}, id="an RSA key"
        ),
        pytest.param(
            SINGLE_SIGN_ON | {"SIGNUP_LINK_KEY": public(ec.generate_private_key(ec.SECP256R1()))}, id="a key on P-256"
        ),
        SINGLE_SIGN_ON | {"CONSTANT_CONTACT_IDP_PROVIDER": "x" * 80, "CONSTANT_CONTACT_API": "v3"},
        {"OIDC_STAFF_CLAIM": "groups", "OIDC_ISSUER": "https://id.example.com", **CLIENT},
    ],
    ids=str,
)
def test_valid_settings_have_no_errors(settings: Settings, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    assert check_configuration() == []


def test_an_unreadable_setting_is_not_also_reported_as_missing(settings: Settings) -> None:
    settings.SEALING_KEYS = []
    settings.MISTAKES = {"SEALING_KEYS": "SEALING_KEYS_FILE cannot be read: No such file or directory."}

    assert ids(check_configuration()) == ["signup.E001"]


def test_an_invalid_sealing_key_is_named_by_position_not_by_value(settings: Settings) -> None:
    settings.SEALING_KEYS = [Fernet.generate_key().decode(), "canary-sealing-key"]

    with pytest.raises(SystemCheckError) as told:
        call_command("check")

    assert "Key 2 of SEALING_KEYS" in str(told.value)
    assert "canary" not in str(told.value)


@pytest.mark.parametrize("debug", [True, False])
def test_static_files_must_be_collected_in_production(settings: Settings, tmp_path: Path, debug: bool) -> None:
    settings.DEBUG, settings.STATIC_ROOT = debug, tmp_path

    assert ids(check_static_files()) == ([] if debug else ["signup.E012"])


@pytest.mark.parametrize(("added", "told"), [([], []), (["signup/new.css"], ["signup.E012"])])
def test_static_files_must_be_collected_again_after_an_upgrade(
    settings: Settings, collected_static_files: None, tmp_path: Path, added: list[str], told: list[str]
) -> None:
    """Every page with a link to a file that the last release did not have would fail."""
    settings.STATICFILES_DIRS = [*settings.STATICFILES_DIRS, tmp_path / "release"]
    for name in added:
        file = tmp_path / "release" / name
        file.parent.mkdir(parents=True)
        file.touch()

    assert ids(check_static_files()) == told


@pytest.mark.parametrize(
    ("debug", "proxies", "told"), [(False, [], ["signup.W004"]), (False, ["127.0.0.1"], []), (True, [], [])]
)
def test_a_web_server_without_a_proxy_is_warned_about(
    settings: Settings, debug: bool, proxies: list[str], told: list[str]
) -> None:
    settings.DEBUG, settings.TRUSTED_PROXIES = debug, proxies

    assert ids(check_proxy()) == told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", []),
        ("smtp://mail.example.com", ["signup.W006"]),
        ("smtp://anna:secret@10.0.0.7:587", ["signup.W006"]),
        ("smtp+tls://mail.example.com:587", []),
        ("smtp+ssl://mail.example.com:465", []),
        ("smtp://localhost", []),
        ("smtp://127.0.0.1:1025", []),
        ("filemail:///tmp/emails", []),
    ],
)
def test_a_remote_mail_server_needs_tls(settings: Settings, url: str, told: list[str]) -> None:
    config = email(url) if url else {}
    for name in ("EMAIL_HOST", "EMAIL_USE_TLS", "EMAIL_USE_SSL"):
        setattr(settings, name, config.get(name, ""))

    assert ids(check_encryption()) == told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:///db.sqlite3", []),
        ("postgres://signup:secret@localhost/signup", []),
        ("postgres:////var/run/postgresql/signup", []),
        ("postgres:///signup", []),
        ("postgres://signup:secret@db.example.com/signup", ["signup.W006"]),
        ("postgres://signup:secret@db.example.com/signup?sslmode=verify-full", []),
        ("postgres://signup:secret@database/signup?sslmode=disable", []),
    ],
)
def test_a_remote_database_needs_an_explicit_tls_mode(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str, told: list[str]
) -> None:
    monkeypatch.setitem(settings.DATABASES, "default", database(url))

    assert ids(check_encryption()) == told


@pytest.mark.parametrize("address", ["https://canary:secret@example.com", "https://canary@example.com/path"])
def test_an_address_that_staff_see_holds_no_login(address: str) -> None:
    with pytest.raises(ValueError, match="must not contain a username or a password") as told:
        casts.url(address)
    assert "canary" not in str(told.value)
    assert casts.dsn(address) == address


@pytest.mark.parametrize("address", ["https://example.com/@team", "https://example.com?to=a@example.com"])
def test_an_address_may_have_an_at_sign_elsewhere(address: str) -> None:
    assert casts.url(address) == casts.dsn(address) == address
