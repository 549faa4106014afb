"""The link opens the page in any browser, for a limited time."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.core.signing import TimestampSigner
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account
from signup import emails
from signup.brand.models import Brand
from signup.emails.links import LINK_LIFETIME, SALT
from signup.models import Mail
from tests.signup.accounts import account
from tests.signup.emails.conftest import told_of

pytestmark = pytest.mark.django_db

State = Account.State


def link_in(message: Any) -> str:
    (link,) = (word for word in message.body.split() if word.startswith("https://"))
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc) == ("https", "localhost")
    return f"{parts.path}?{parts.query}"


class TestTheLink:
    def link(self) -> str:
        told_of(State.CREATED)
        emails.send_due()
        return link_in(mail.outbox[0])

    def test_it_opens_the_page_in_any_browser_any_number_of_times(self) -> None:
        link = self.link()
        page = f"/signup/{Account.objects.get().reference}/"

        for browser in (Client(), Client()):
            browser.head(link)
            opened = browser.get(link, follow=True)
            assert opened.redirect_chain == [(page, 302)]
            assert "Your account is ready" in opened.content.decode()

    def test_its_token_is_in_the_query_which_is_not_logged(self) -> None:
        assert self.link().startswith("/signup/open/?token=")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda link: link[:-1],
            lambda link: link.replace("token=", "token=0"),
            lambda link: link.split("?")[0],
            lambda link: f"{link.split('?')[0]}?token=%01%ff%F0%9F",
        ],
    )
    def test_a_link_that_is_not_ours_opens_nothing(
        self, client: Client, settings: Settings, spoil: Callable[[str], str]
    ) -> None:
        response = client.get(spoil(self.link()))

        assert response.status_code == 404
        assert "This link no longer works" in response.content.decode()
        assert 'href="/"' in response.content.decode()
        assert settings.OWN_ACCOUNTS_COOKIE_NAME not in client.cookies

    def test_it_works_for_three_days(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        link = self.link()
        now = timezone.now().timestamp()
        lives = LINK_LIFETIME.total_seconds()

        monkeypatch.setattr("django.core.signing.time.time", lambda: now + lives - 60)
        assert client.get(link).status_code == 302
        monkeypatch.setattr("django.core.signing.time.time", lambda: now + lives + 60)
        assert client.get(link).status_code == 404

    def test_it_works_as_long_as_a_correction_is_possible(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account = told_of(State.REJECTED)
        emails.send_due()
        link, now = link_in(mail.outbox[0]), timezone.now().timestamp()

        monkeypatch.setattr("django.core.signing.time.time", lambda: now + 7 * 24 * 60 * 60)
        assert client.get(link).status_code == 302
        services.close(Account.objects.get(pk=account.pk))
        assert client.get(link).status_code == 404

    def test_it_ends_when_a_wrong_address_is_corrected(self, client: Client) -> None:
        told_of(State.REJECTED, email="stranger@example.org")
        emails.send_due()
        link = link_in(mail.outbox[0])

        Account.objects.update(email="Stranger@EXAMPLE.org")  # The same mailbox.
        assert Client().get(link).status_code == 302
        Account.objects.update(email="anna@example.org")
        assert client.get(link).status_code == 404

    def test_it_still_says_that_the_data_was_erased(self, client: Client) -> None:
        link = self.link()
        services.erase(Account.objects.get())

        assert "We have erased your data" in client.get(link, follow=True).content.decode()

    def test_a_link_of_an_earlier_release_works(self, client: Client) -> None:
        token = TimestampSigner(salt=SALT).sign(str(told_of(State.CREATED).reference))

        assert client.get(f"/signup/open/?token={token}").status_code == 302

    def test_a_link_to_a_deleted_account_opens_nothing(self, client: Client) -> None:
        link = self.link()
        Account.objects.all().delete()

        assert client.get(link).status_code == 404


@pytest.mark.parametrize(
    ("allowed", "host", "linked"),
    [
        (["signup.example.com"], "signup.example.com", "https://signup.example.com/"),
        ([".example.com", "signup.example.com"], "made-up.example.com", "https://signup.example.com/"),
        ([".example.com", "signup.example.com"], "brand.example.com", "https://brand.example.com/"),
        ([".example.com"], "any.example.com", "https://any.example.com/"),
    ],
)
def test_the_link_leads_to_a_configured_host(settings: Settings, allowed: list[str], host: str, linked: str) -> None:
    settings.ALLOWED_HOSTS = allowed
    Brand.objects.create(name="Brand", host="brand.example.com")

    emails.enable(account("sending"), RequestFactory().get("/", secure=True, headers={"host": host}))

    assert Mail.objects.get().origin == linked


@pytest.mark.parametrize(
    ("meta", "port"),
    [
        ({"SERVER_PORT": "8000"}, ":8000"),
        ({"SERVER_PORT": "443"}, ""),
        ({"SERVER_PORT": "8000", "REMOTE_ADDR": "192.0.2.1"}, ""),
    ],
    ids=["listened on", "made up", "made up, and passed on by a proxy"],
)
def test_the_link_leads_to_a_port_only_if_it_is_ours(settings: Settings, meta: dict[str, Any], port: str) -> None:
    settings.ALLOWED_HOSTS, settings.TRUSTED_PROXIES = ["signup.example.com"], ["192.0.2.1"]
    request = RequestFactory().get("/", headers={"host": "signup.example.com:8000"}, **meta)

    assert emails.origin(request) == f"http://signup.example.com{port}/"


def test_the_link_leads_to_the_port_of_a_trusted_origin(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["signup.example.com"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://signup.example.com:8443"]
    factory = RequestFactory(headers={"host": "signup.example.com:8443"})

    assert emails.origin(factory.get("/", secure=True)) == "https://signup.example.com:8443/"
    assert emails.origin(factory.get("/")) == "http://signup.example.com/"
