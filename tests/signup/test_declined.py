"""A declined customer learns why, in their language, on their page and in an email."""

from typing import Any

import pytest
from django.conf import settings as configuration
from django.core import mail
from django.test import Client
from django.utils import translation
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account
from signup import emails
from signup.models import Mail
from signup.progress import DECLINE_REASONS
from tests.signup.emails.conftest import expecting, with_a_mail_server
from tests.signup.emails.test_links import link_in
from tests.signup.test_changes import PageOf

pytestmark = pytest.mark.django_db
State, Reason = Account.State, Account.DeclineReason
__all__ = ["with_a_mail_server"]

NOT_ELIGIBLE = "This offer is not available to your organization."
PAS_ADMISSIBLE = "Cette offre n’est pas proposée à votre organisation."  # noqa: RUF001


def declined(reason: str = Reason.NOT_ELIGIBLE, note: str = "", **values: Any) -> Account:
    held = expecting(State.HELD, **values)
    services.decline(held, reason, note)
    return Account.objects.get(pk=held.pk)


def test_every_reason_but_the_typed_one_has_a_text_for_customers() -> None:
    assert DECLINE_REASONS.keys() == set(Reason)
    assert [reason for reason, words in DECLINE_REASONS.items() if not words] == [Reason.OTHER]


def test_the_page_says_that_a_sign_up_was_declined_and_why(client: Client, page_of: PageOf) -> None:
    page = client.get(page_of(declined(note="Please <call> us."))).content.decode()

    assert "Your sign-up was declined" in page
    assert NOT_ELIGIBLE in page
    assert "Please &lt;call&gt; us." in page
    assert "Start again" in page


def test_an_email_says_so_too_at_once(client: Client) -> None:
    account = declined(note="Please call us.")
    emails.send_due()

    (message,) = mail.outbox
    assert message.subject == "Your Constant Contact sign-up was declined"
    assert message.to == [account.email]
    for words in (NOT_ELIGIBLE, "Please call us.", "create an account for it"):
        assert words in message.body
    assert "Your sign-up was declined" in client.get(link_in(message), follow=True).content.decode()


def test_page_and_email_are_in_the_customers_language(client: Client, page_of: PageOf) -> None:
    account = declined(language="fr")
    emails.send_due()

    assert PAS_ADMISSIBLE in mail.outbox[0].body
    page = client.get(page_of(account), headers={"accept-language": "fr"}).content.decode()
    assert PAS_ADMISSIBLE in page


@pytest.mark.parametrize("language", [code for code, _ in configuration.LANGUAGES if code != "en"])
def test_every_reason_is_translated(language: str) -> None:
    with translation.override(language):
        words = {str(text) for text in DECLINE_REASONS.values() if text}
    assert not words & {str(text) for text in DECLINE_REASONS.values()}


def test_an_account_closed_for_another_reason_gets_no_such_email(settings: Settings) -> None:
    services.close(expecting(State.REJECTED))
    services.erase(expecting(State.HELD))
    emails.send_due()

    assert mail.outbox == []
    assert not Mail.objects.exclude(due_at=None)
