"""The thread that sends notices: it ends with its worker, and leaves nothing behind that grows."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from provisioning import gateway
from provisioning.models import Notice
from provisioning.notices import incidents, rules, sending
from tests.provisioning.notices.conftest import Look, MakeRule

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
    sending.send_due(ending)
    assert len(mail.outbox) == 1
    assert Notice.objects.filter(sent_at=None, due_at__isnull=False).count() == 2


def test_only_the_last_digest_of_a_rule_is_kept(rule: MakeRule, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    rule(when="daily")
    gateway.stop("The key is inactive.")
    morning = timezone.localtime().replace(hour=9)
    for days in range(3):
        monkeypatch.setattr(rules, "localtime", lambda days=days: morning + timedelta(days=days))
        look()
    assert len(mail.outbox) == 3
    assert Notice.objects.count() == 1
