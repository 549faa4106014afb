"""A signed link proves who a customer is: the right key, the right page, in time, and once."""

import base64
import hashlib
import hmac
import json
import logging
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.management import CommandError, call_command
from django.core.signing import TimestampSigner
from django.test import Client
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from pytest_django import Settings

from provisioning.models import Account
from signup import mails
from signup.models import UsedLink
from signup.single_sign_on import link
from tests.checkout import ROOT
from tests.provisioning.work import at_once
from tests.signup.accounts import TYPED, account
from tests.signup.single_sign_on.conftest import SECRET

pytestmark = pytest.mark.django_db

PAGE = "http://testserver/"
ENTERED = {name: value for name, value in TYPED.items() if name != "password"}
BROKEN, EXPIRED, USED = "part of it is missing", "has expired", "has already been used"


def token(signing: Key | None = None, algorithm: str = "HS256", **changes: Any) -> str:
    """Return a valid token with `changes`: None leaves a claim out, and a timedelta is relative to now."""
    claims = {"sub": "4711", "aud": PAGE, "exp": timedelta(minutes=10), "jti": str(time.monotonic_ns())} | changes
    claims = {name: _claim(value) for name, value in claims.items() if value is not None}
    own = signing or OctKey.import_key(SECRET.encode())
    return jwt.encode({"alg": algorithm}, claims, own, algorithms=[algorithm])


def _claim(value: Any) -> Any:
    return int(time.time() + value.total_seconds()) if isinstance(value, timedelta) else value


def follow(client: Client, of: str) -> Any:
    return client.get("/start/", {"token": of}, follow=True)


def expire_proof(client: Client) -> None:
    session = client.session
    session["proof"] = {**session["proof"], "until": 0}
    session.save()


def told(response: Any) -> str:
    """Return the error on the page, which must have no form."""
    page: str = response.content.decode()
    assert response.status_code == 403
    assert 'name="submission"' not in page
    return page.partition('role="alert"')[2].partition("</div>")[0]


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
    assert 'You are signed in as <strong translate="no" dir="auto">anna@nullmailer.com</strong>' in page
    assert "assword" not in page.replace("no password", "").replace("No new password", "")


def test_the_account_belongs_to_the_links_customer_without_a_password(client: Client) -> None:
    follow(client, token())

    client.post("/", TYPED | {"idp_provider_id": "somebody-else"})

    account = Account.objects.get()
    assert (account.idp_provider_id, bool(account.password), account.state) == ("4711", False, "queued")


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


def test_a_used_link_works_only_in_the_browser_that_used_it(client: Client) -> None:
    once = token()
    assert follow(client, once).redirect_chain == [("/", 302)]

    assert follow(client, once).redirect_chain == [("/", 302)]
    assert USED in told(follow(Client(), once))


def test_a_used_link_does_not_renew_an_expired_proof(client: Client) -> None:
    once = token()
    follow(client, once)
    session = client.session
    session["proof"] = {**session["proof"], "until": 0}
    session.save()

    assert USED in told(follow(client, once))


@pytest.mark.django_db(transaction=True)
def test_one_of_many_concurrent_visitors_can_use_it() -> None:
    once = token()

    came_in = at_once(8, lambda _: follow(Client(), once).status_code)

    assert sorted(came_in) == [200] + [403] * 7


def test_a_head_request_does_not_use_it_up(client: Client) -> None:
    once = token()
    assert client.head("/start/", {"token": once}).status_code == 405

    assert follow(client, once).status_code == 200


def test_used_links_are_deleted_long_after_they_expire(client: Client) -> None:
    long_ago, just_now = (datetime.now(UTC) - timedelta(seconds=age) for age in (3600, 60))
    UsedLink.objects.create(digest="old", expires_at=long_ago)
    UsedLink.objects.create(digest="new", expires_at=just_now)

    follow(client, token())

    assert not UsedLink.objects.filter(digest="old").exists()
    assert UsedLink.objects.count() == 2
    assert "…" in str(UsedLink.objects.get(digest="new"))


def test_another_customers_link_replaces_all_of_the_first_ones_data(client: Client) -> None:
    follow(client, token(sub="1", phone="111 111"))
    expire_proof(client)
    client.post("/", {"phone": "222 222"})
    follow(client, token(sub="1"))
    other = token(sub="2")
    follow(client, other)

    form = client.post("/start/", {"token": other}, QUERY_STRING=f"token={other}", follow=True).context["form"]

    assert form.initial == {}


def test_another_customers_link_asks_first(client: Client) -> None:
    follow(client, token(sub="1", email="anna@example.com"))
    other = token(sub="2", email="bob@example.com")

    asked = follow(client, other)

    assert asked.status_code == 200
    assert 'name="submission"' not in asked.content.decode()
    assert "anna@example.com" in asked.content.decode()
    assert "bob@example.com" in asked.content.decode()
    assert 'signed in as <strong translate="no" dir="auto">anna@example.com' in client.get("/").content.decode()
    assert not UsedLink.objects.filter(digest=link.read(other, PAGE).digest).exists()

    client.post("/start/", {"token": other}, QUERY_STRING=f"token={other}")

    assert 'signed in as <strong translate="no" dir="auto">bob@example.com' in client.get("/").content.decode()


def test_another_site_cannot_answer_that_question() -> None:
    browser = Client(enforce_csrf_checks=True)
    follow(browser, token(sub="1"))
    other = token(sub="2")

    assert browser.post(f"/start/?token={other}").status_code == 403
    assert not UsedLink.objects.filter(digest=link.read(other, PAGE).digest).exists()


@pytest.mark.parametrize("lasts", [True, False])
def test_the_same_customers_link_or_an_expired_proof_does_not_ask(client: Client, lasts: bool) -> None:
    follow(client, token(sub="1"))
    if not lasts:
        expire_proof(client)

    assert 'name="submission"' in follow(client, token(sub="1" if lasts else "2")).content.decode()


def test_an_email_link_to_another_customers_account_asks_too(client: Client) -> None:
    theirs = account("created", idp_provider_id="2")
    follow(client, token(sub="1", email="anna@example.com"))
    path = f"/signup/open/?token={TimestampSigner(salt=mails.SALT).sign(str(theirs.reference))}"

    asked = client.get(path)

    assert "anna@example.com" in asked.content.decode()
    assert client.get(f"/signup/{theirs.reference}/").status_code == 404
    assert client.post(path).headers["Location"] == f"/signup/{theirs.reference}/"
    assert client.get(f"/signup/{theirs.reference}/").status_code == 200


def test_the_log_says_what_is_wrong_and_shows_nothing_of_the_link(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for changes in ({"aud": "canary"}, {"exp": 10**11}, {"sub": " canary "}):
        follow(client, token(**changes, email="canary@example.com"))

    refusals = [record.getMessage() for record in caplog.records if record.name == link.__name__]
    assert [each.partition("refused")[2] for each in refusals] == [
        " error=InvalidClaimError claim=aud",
        ": it would be good for longer than 3600 seconds",
        ": Constant Contact doesn't accept its sub as an ID",
    ]
    assert "canary" not in caplog.text


@pytest.mark.parametrize("setting", ["CONSTANT_CONTACT_IDP_PROVIDER", "SIGNUP_LINK_KEY"])
def test_without_single_sign_on_by_links_there_is_no_such_page(
    client: Client, settings: Settings, setting: str
) -> None:
    setattr(settings, setting, "")

    assert client.get("/start/", {"token": "x"}).status_code == 404


class TestCommand:
    def test_it_prints_a_link_that_works(self, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("signup_link", "4711", "email=anna@nullmailer.com", "first_name=Anna=Maria", page=PAGE)

        printed = capsys.readouterr().out.strip()
        form = client.get(printed.removeprefix("http://testserver"), follow=True).context["form"]
        assert printed.startswith("http://testserver/start/?token=")
        assert form.initial == {"email": "anna@nullmailer.com", "first_name": "Anna=Maria"}

    def test_the_page_is_the_first_host_by_https(self, capsys: pytest.CaptureFixture[str], settings: Settings) -> None:
        settings.ALLOWED_HOSTS = ["signup.example.com"]

        call_command("signup_link", "4711")

        assert capsys.readouterr().out.startswith("https://signup.example.com/start/?token=")

    @pytest.mark.parametrize(
        ("arguments", "changes", "why"),
        [
            (["4711", "mail=x"], {}, "There is no property mail"),
            (["4711", "password=x"], {}, "There is no property password"),
            ([" "], {}, "accept this ID"),
            (["4711"], {"CONSTANT_CONTACT_IDP_PROVIDER": ""}, "off"),
            (["4711"], {"SIGNUP_LINK_KEY": ""}, "is not a secret"),
        ],
        ids=str,
    )
    def test_mistakes_are_explained(
        self, settings: Settings, arguments: list[str], changes: dict[str, str], why: str
    ) -> None:
        for name, value in changes.items():
            setattr(settings, name, value)

        with pytest.raises(CommandError, match=why):
            call_command("signup_link", *arguments)


def test_the_documented_link_works(client: Client, settings: Settings) -> None:
    """It needs no library, in another programming language, and only five lines."""
    program = re.search("```js\n(.+?)```", (ROOT / "docs/single-sign-on.md").read_text(), re.DOTALL)
    assert program
    assert program[1].count("\n") == 5
    node = shutil.which("node") or pytest.skip("Node is not found; on Debian: apt-get install nodejs")

    made = subprocess.run(
        [node, "-e", program[1]], env={"SIGNUP_LINK_KEY": SECRET}, capture_output=True, text=True, check=True
    )

    settings.ALLOWED_HOSTS = ["signup.example.com"]
    path = made.stdout.strip().removeprefix("https://signup.example.com")
    response = client.get(path, headers={"host": "signup.example.com"}, secure=True, follow=True)
    assert response.context["form"].initial == {"email": "anna@example.com"}
