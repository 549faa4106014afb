"""A signed link of the partner's system opens the form, and an invalid one proves nothing."""

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.management import CommandError, call_command
from django.test import Client
from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from pytest_django import Settings

from provisioning.models import Account
from signup.models import Agreement, Brand, UsedLink
from signup.single_sign_on import link
from tests.signup.accounts import TYPED
from tests.signup.legal.texts import boxes, published
from tests.signup.single_sign_on.conftest import SECRET
from tests.signup.single_sign_on.links import BROKEN, EXPIRED, PAGE, follow, token, told

pytestmark = [pytest.mark.django_db, pytest.mark.once]

ENTERED = {name: value for name, value in TYPED.items() if name != "password"}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> tuple[str, bytes]:
    """Return the public key in PEM, for the setting, and the private key."""
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public.decode(), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


RSA_PUBLIC, RSA_PRIVATE = pem(rsa.generate_private_key(65537, 2048))
EC_PUBLIC, EC_PRIVATE = pem(ec.generate_private_key(ec.SECP256R1()))


def test_it_opens_the_form_with_known_values_filled_in(client: Client) -> None:
    response = follow(client, token(email="anna@nullmailer.com", country_code="CA", state_code="ON", gdpr_opt_out=True))

    page = response.content.decode()
    assert response.redirect_chain == [("/", 302)]
    assert 'value="anna@nullmailer.com"' in page
    assert '<option value="CA" selected>' in page
    assert '<option value="ON" selected>' in page
    assert "checked" in page
    assert 'You are logged in as <strong translate="no" dir="auto">anna@nullmailer.com</strong>' in page
    assert "assword" not in page.replace("no password", "").replace("No new password", "")


def test_the_session_gets_a_new_key_against_fixation(client: Client) -> None:
    session = client.session
    session["planted"] = True
    session.save()

    follow(client, token())

    assert client.session.session_key != session.session_key
    assert not client.session.exists(str(session.session_key))


def test_the_account_belongs_to_the_links_customer_without_a_password(client: Client) -> None:
    follow(client, token())

    client.post("/", TYPED | {"idp_provider_id": "somebody-else"})

    account = Account.objects.get()
    assert (account.idp_provider_id, bool(account.password), account.state) == ("4711", False, "queued")


def test_the_account_gets_the_partners_own_id_from_the_link_and_never_from_the_form(client: Client) -> None:
    follow(client, token(partner_account_id="CRM-4711"))

    client.post("/", TYPED | {"partner_account_id": "from-the-form"})

    assert Account.objects.get().partner_account_id == "CRM-4711"
    assert "CRM-4711" not in str(dict(client.session))  # From now on it belongs to the account, and is erased with it.


def test_the_partners_own_id_is_kept_while_the_form_has_errors(client: Client) -> None:
    follow(client, token(partner_account_id="CRM-4711"))

    client.post("/", TYPED | {"phone": "1"})
    client.post("/", TYPED)

    assert Account.objects.get().partner_account_id == "CRM-4711"


def test_legal_texts_are_accepted_on_the_form(client: Client) -> None:
    terms = published(Brand.objects.create(name="Alder"), "terms")
    page = follow(client, token())

    assert client.post("/", TYPED).status_code == 200
    client.post("/", TYPED | boxes(page))

    assert Agreement.objects.get().text == terms


@pytest.mark.parametrize("value", [None, ""], ids=repr)
def test_a_link_without_the_partners_own_id_opens_the_form(client: Client, value: Any) -> None:
    follow(client, token(partner_account_id=value))

    client.post("/", TYPED)

    assert Account.objects.get().partner_account_id == ""


@pytest.mark.parametrize("value", [4711, "x" * 81, " 4711", "two\nlines", ["4711"]], ids=repr)
def test_an_own_id_that_constant_contact_would_refuse_is_refused_with_its_reason_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture, value: Any
) -> None:
    assert BROKEN in told(follow(client, token(partner_account_id=value)))
    assert "doesn't accept its partner_account_id" in caplog.text


@pytest.mark.parametrize("value", [7, None, [], {"a": 1}, "x" * 5000], ids=repr)
def test_invalid_known_values_are_ignored(client: Client, value: Any) -> None:
    response = follow(client, token(email=value, gdpr_opt_out=value, password="secret", state="created"))

    assert response.status_code == 200
    assert set(response.context["form"].initial) <= {"email"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": timedelta(hours=-1)}, EXPIRED),
        ({"exp": None}, BROKEN),
        ({"exp": timedelta(days=2)}, BROKEN),
        ({"exp": "tomorrow"}, BROKEN),
        ({"exp": float("nan")}, BROKEN),
        ({"exp": float("inf")}, BROKEN),
        ({"nbf": timedelta(hours=1)}, BROKEN),
        ({"aud": None}, BROKEN),
        ({"aud": "https://other.example.com/"}, BROKEN),
        ({"aud": []}, BROKEN),
        ({"aud": "http://testserver.example.com/"}, BROKEN),
        ({"jti": None}, BROKEN),
        ({"jti": ""}, BROKEN),
        ({"jti": 7}, BROKEN),
        ({"sub": None}, BROKEN),
        ({"sub": ""}, BROKEN),
        ({"sub": 4711}, BROKEN),
        ({"sub": " 4711"}, BROKEN),
        ({"sub": "x" * 256}, BROKEN),
        ({"sub": "4\0 7"}, BROKEN),
    ],
    ids=str,
)
def test_an_invalid_link_is_explained_and_proves_nothing(client: Client, changes: dict[str, Any], why: str) -> None:
    assert why in told(follow(client, token(**changes)))
    assert 'name="submission"' not in client.get("/").content.decode()
    assert not UsedLink.objects.exists()


@pytest.mark.parametrize("page", ["http://testserver", "http://testserver/", ["http://testserver/", "another"]])
def test_the_page_may_be_named_with_a_slash_or_without(client: Client, page: Any) -> None:
    assert follow(client, token(aud=page)).status_code == 200


@pytest.mark.parametrize("broken", ["", "x", "a.b.c", "é", "a" * 10_000, "....."])
def test_a_text_that_is_not_a_token_is_explained(client: Client, broken: str) -> None:
    assert BROKEN in told(follow(client, broken))


@pytest.mark.parametrize("spoil", [lambda whole: whole[:-2], lambda whole: whole + "A"], ids=["cut off", "too long"])
def test_an_incomplete_token_is_explained(client: Client, spoil: Callable[[str], str]) -> None:
    assert BROKEN in told(follow(client, spoil(token())))


def test_a_tampered_link_proves_nothing(client: Client) -> None:
    head, body, signature = token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "1"}).encode()).decode().rstrip("=")

    assert BROKEN in told(follow(client, f"{head}.{other}.{signature}"))


def forge(header: dict[str, str], signed_with: bytes = b"") -> str:
    """Return a token that no library would create."""
    claims = {"sub": "4711", "aud": PAGE, "exp": int(time.time()) + 600, "jti": "1"}
    body = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)
    )
    mac = hmac.new(signed_with, body.encode(), hashlib.sha256).digest() if signed_with else b""
    return f"{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


@pytest.mark.parametrize("own", [SECRET, RSA_PUBLIC, EC_PUBLIC], ids=["HS256", "RS256", "ES256"])
def test_the_configured_key_alone_decides_the_algorithm(client: Client, settings: Settings, own: str) -> None:
    settings.SIGNUP_LINK_KEY = own

    forged = [
        forge({"alg": "none"}),
        forge({"alg": "HS256"}, RSA_PUBLIC.encode()),
        forge({"alg": "HS256"}, RSA_PUBLIC.strip().encode()),
        forge({"alg": "HS256"}, EC_PUBLIC.encode()),
        token(OctKey.import_key(b"another-key-of-quite-enough-length")),
        token(RSAKey.generate_key(2048), "RS256"),
        token(ECKey.generate_key("P-256"), "ES256"),
        token(OctKey.import_key(SECRET.encode()), "HS512"),
    ]

    for each in forged:
        assert BROKEN in told(follow(client, each))


@pytest.mark.parametrize(
    ("public", "private", "algorithm"),
    [
        (RSA_PUBLIC, RSAKey.import_key(RSA_PRIVATE), "RS256"),
        (EC_PUBLIC, ECKey.import_key(EC_PRIVATE), "ES256"),
    ],
    ids=["RS256", "ES256"],
)
def test_with_a_public_key_only_the_partners_own_system_can_make_links(
    client: Client, settings: Settings, public: str, private: Key, algorithm: str
) -> None:
    settings.SIGNUP_LINK_KEY = public

    assert follow(client, token(private, algorithm)).redirect_chain == [("/", 302)]
    with pytest.raises(CommandError, match="your own system"):
        call_command("signup_link", "4711")


def test_the_log_says_what_is_wrong_and_shows_nothing_of_the_link(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for changes in ({"aud": "canary"}, {"exp": 10**11}, {"sub": " canary "}):
        follow(client, token(**changes, email="canary@example.com"))

    refusals = [record.getMessage() for record in caplog.records if record.name == link.__name__]
    assert [each.partition("refused")[2] for each in refusals] == [
        " error=InvalidClaimError claim=aud",
        ": its lifetime exceeds 3600 seconds",
        ": Constant Contact doesn't accept its sub as an ID",
    ]
    assert "canary" not in caplog.text


@pytest.mark.parametrize("setting", ["CONSTANT_CONTACT_IDP_PROVIDER", "SIGNUP_LINK_KEY"])
def test_without_single_sign_on_by_links_there_is_no_such_page(
    client: Client, settings: Settings, setting: str
) -> None:
    setattr(settings, setting, "")

    assert client.get("/start/", {"token": "x"}).status_code == 404
