"""The thread that sends notices: it ends with its worker, and leaves nothing behind that grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from provisioning import gateway
from provisioning.models import Notice, NoticeRule
from provisioning.notices import incidents, rules, sending
from provisioning.sealed import Sealed
from tests.patience import PATIENCE
from tests.provisioning.events.receiver import Answer, Received, Receiver
from tests.provisioning.notices.conftest import Look, MakeRule
from tests.provisioning.work import account_in

pytestmark = pytest.mark.django_db


def test_a_worker_that_is_to_end_sends_no_further_notice(rule: MakeRule, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are due, and however slow the mail server is."""
    for _ in range(3):
        rule()
    gateway.stop("The key is inactive.")
    incidents.watch()
    ending = threading.Event()
    send = EmailMessage.send

    def send_and_end(message: EmailMessage) -> int:
        ending.set()
        return send(message)

    monkeypatch.setattr(EmailMessage, "send", send_and_end)
    monkeypatch.setattr(sending, "THREADS", 1)
    sending.send_due(ending)
    assert len(mail.outbox) == 1
    assert Notice.objects.filter(sent_at=None, due_at__isnull=False).count() == 2


@pytest.fixture
def channels(settings: Settings) -> Iterator[tuple[Receiver, Receiver]]:
    """Two channels. The first one hangs until the other has got a notice."""
    settings.WEBHOOK_PRIVATE_NETWORKS = ["127.0.0.1"]
    told = threading.Event()

    def hang(received: Received) -> Answer:
        told.wait(PATIENCE)
        return Answer()

    def hear(received: Received) -> Answer:
        told.set()
        return Answer()

    with Receiver(hang) as hanging, Receiver(hear) as other:
        yield hanging, other


def test_a_channel_that_hangs_holds_up_no_other(rule: MakeRule, channels: tuple[Receiver, Receiver]) -> None:
    """Its own next notices wait for it."""
    hanging, other = channels
    for url in (hanging.url, hanging.url, other.url):
        rule(channel="slack", user=None, url=Sealed.of(url), incidents=["stopped", "approval"])
    gateway.stop("The key is inactive.")
    account_in("held")
    incidents.watch()
    sending.send_due()
    assert set(NoticeRule.objects.values_list("problem", flat=True)) == {""}
    assert (len(hanging.received), len(other.received)) == (4, 2)


def test_a_notice_that_becomes_due_while_a_channel_hangs_is_sent(
    rule: MakeRule, channels: tuple[Receiver, Receiver]
) -> None:
    _hanging, late = [rule(channel="slack", user=None, url=Sealed.of(channel.url)) for channel in channels]
    gateway.stop("The key is inactive.")
    incidents.watch()
    late.notices.update(due_at=Now() + timedelta(seconds=0.5))
    sending.send_due()
    assert set(NoticeRule.objects.values_list("problem", flat=True)) == {""}
    assert [len(channel.received) for channel in channels] == [1, 1]


def test_only_the_last_digest_of_a_rule_is_kept(rule: MakeRule, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    rule(when="daily")
    gateway.stop("The key is inactive.")
    morning = timezone.localtime().replace(hour=9)
    for days in range(3):
        monkeypatch.setattr(rules, "localtime", lambda days=days: morning + timedelta(days=days))
        look()
    assert len(mail.outbox) == 3
    assert Notice.objects.count() == 1
