"""An email has the language and brand of the sign-up, and nothing of what was typed."""

import re
from email.header import decode_header, make_header
from email.utils import parseaddr
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.utils import translation
from pytest_django import Settings

from provisioning.models import Account
from signup import emails
from signup.brand.models import Brand
from tests.signup.emails.conftest import told_of

pytestmark = pytest.mark.django_db

State = Account.State


def test_an_email_has_the_language_of_the_sign_up() -> None:
    told_of(State.CREATED)
    Account.objects.update(language="fr")
    spoken = []

    with pytest.MonkeyPatch.context() as patch:
        compose = mail.EmailMultiAlternatives

        def listen(*arguments: Any, **options: Any) -> mail.EmailMultiAlternatives:
            spoken.append(translation.get_language())
            return compose(*arguments, **options)

        patch.setattr(mail, "EmailMultiAlternatives", listen)
        emails.send_due()

    assert spoken == ["fr"]


def test_an_email_is_signed_by_the_brand_of_the_sign_ups_host() -> None:
    Brand.objects.create(host="localhost", name="Alder & Co", support_email="help@alder.example.com")
    told_of(State.CREATED)

    emails.send_due()

    (message,) = mail.outbox
    assert message.body.endswith("\n\nAlder & Co\n")
    assert message.reply_to == ["help@alder.example.com"]


def from_brand(**values: str) -> Any:
    """Return a brand's email as the mail server gets it."""
    Brand.objects.create(host="localhost", name="Café Åse", **values)
    told_of(State.CREATED)
    emails.send_due()
    return mail.outbox[0], mail.outbox[0].message()


@pytest.mark.parametrize(
    ("sender", "address"), [("hi@ase.example.com", "hi@ase.example.com"), ("", "signup@example.com")]
)
def test_the_sender_has_the_address_and_name_of_the_brand(sender: str, address: str) -> None:
    message, sent = from_brand(sender_email=sender)

    assert parseaddr(str(make_header(decode_header(sent["From"])))) == ("Café Åse", address)
    assert parseaddr(message.from_email)[1] == address


def test_bounces_go_to_the_configured_address(settings: Settings) -> None:
    settings.BOUNCE_EMAIL = "bounces@example.com"

    message, sent = from_brand()

    assert message.from_email == "bounces@example.com"
    assert parseaddr(sent["From"])[1] == "signup@example.com"


def test_headers_mark_it_as_automatic_and_from_the_pages_host() -> None:
    _message, sent = from_brand()

    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent["Message-ID"].endswith("@localhost>")


@pytest.mark.parametrize(
    ("color", "ground"),
    [("#ffcc00", "background: #ffcc00; color: #000000"), ("", "background: #2454d6; color: #ffffff")],
)
def test_it_has_html_in_the_brands_colors_beside_the_plain_text(color: str, ground: str) -> None:
    message, _sent = from_brand(color=color)

    ((html, kind),) = message.alternatives
    (link,) = re.findall('<a href="([^"]+)"', html)
    assert kind == "text/html"
    assert "Café Åse" in html
    assert ground in html
    assert unescape(link) in message.body
    assert "Your account is ready." in html
