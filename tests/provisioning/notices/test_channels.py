"""A notice is for a channel in Slack or Teams, or for a person by email."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from pytest_django import Settings

from provisioning import gateway
from provisioning.events import calls
from provisioning.models import Notice, NoticeRule
from provisioning.sealed import Sealed
from tests.provisioning.constant_contact.deadline import deadline_once
from tests.provisioning.constant_contact.peer import peer
from tests.provisioning.events.receiver import Answer, Receiver, fails
from tests.provisioning.notices.conftest import Look, MakeRule, pass_time

pytestmark = pytest.mark.django_db


class TestAChannel:
    @pytest.fixture(autouse=True)
    def opted_in(self, settings: Settings) -> None:
        settings.WEBHOOK_PRIVATE_NETWORKS = ["127.0.0.1"]

    def test_in_slack_gets_a_text(self, rule: MakeRule, look: Look) -> None:
        with Receiver() as slack:
            rule(channel="slack", user=None, url=Sealed.of(slack.url))
            gateway.stop("<b>Inactive</b> & locked.")
            look()
        text = slack.received[0].event["text"]
        assert text.startswith("*Sending stopped*\n&lt;b&gt;Inactive&lt;/b&gt; &amp; locked.")

    def test_in_teams_gets_a_card(self, rule: MakeRule, look: Look) -> None:
        with Receiver() as teams:
            rule(channel="teams", user=None, url=Sealed.of(teams.url))
            gateway.stop("The key is [inactive](https://example.net/).\nhttps://signup.example.com.example.net/")
            look()
        [attachment] = teams.received[0].event["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        address = "https://signup.example.com/admin/"
        blocks = attachment["content"]["body"]
        assert {block["type"] for block in blocks} == {"RichTextBlock"}  # It knows no Markdown.
        runs = [run for block in blocks for run in block["inlines"]]
        assert [run["text"] for run in runs] == [
            "Sending stopped",
            "The key is [inactive](https://example.net/).",
            "https://signup.example.com.example.net/",
            "Fix the cause, then resume sending:",
            address,
        ]
        links = [run["selectAction"] for run in runs if "selectAction" in run]
        assert links == [{"type": "Action.OpenUrl", "url": address}]

    def test_that_fails_is_tried_again(self, rule: MakeRule, look: Look) -> None:
        with Receiver(lambda received: Answer(500)) as slack:
            rule(channel="slack", user=None, url=Sealed.of(slack.url))
            gateway.stop("The key is inactive.")
            look()
            assert NoticeRule.objects.get().problem == "The channel answered 500. If this lasts, check the webhook URL."
            look()
            slack.answer = lambda received: Answer(200)
            pass_time(timedelta(minutes=1))
            look()
            assert len(slack.received) == 2
        told = NoticeRule.objects.get()
        assert (told.problem, told.notified_at is None) == ("", False)

    def test_that_moved_is_not_followed(self, rule: MakeRule, look: Look) -> None:
        with Receiver() as elsewhere, Receiver(fails(307, Location=elsewhere.url)) as slack:
            rule(channel="slack", user=None, url=Sealed.of(slack.url))
            gateway.stop("The key is inactive.")
            look()
        assert (len(slack.received), elsewhere.received) == (1, [])
        assert NoticeRule.objects.get().problem == "Redirects are not followed."

    def test_that_drips_is_left_at_the_deadline(self, rule: MakeRule, look: Look) -> None:
        def drip(connection: socket.socket) -> None:
            while True:
                connection.sendall(b"H")
                time.sleep(0.02)

        with peer(drip) as slack, deadline_once(lambda: slack.requests) as timeouts:
            rule(channel="slack", user=None, url=Sealed.of(slack.url))
            gateway.stop("The key is inactive.")
            look()
        assert timeouts == [calls.DEADLINE]
        assert NoticeRule.objects.get().problem == "No answer within 15 seconds."

    def test_in_a_private_network_is_not_reached(self, rule: MakeRule, look: Look, settings: Settings) -> None:
        settings.WEBHOOK_PRIVATE_NETWORKS = []
        with Receiver() as inside:
            rule(channel="slack", user=None, url=Sealed.of(inside.url))
            gateway.stop("The key is inactive.")
            look()
        assert inside.received == []
        assert "private network" in NoticeRule.objects.get().problem


class TestAnEmail:
    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"is_active": False}, "can't log in"),
            ({"email": ""}, "no email address"),
            ({"is_staff": False}, "can't log in"),
        ],
    )
    def test_goes_only_to_staff(self, rule: MakeRule, look: Look, change: dict[str, Any], problem: str) -> None:
        rule()
        User.objects.update(**change)
        gateway.stop("The key is inactive.")
        look()
        assert mail.outbox == []
        assert problem in NoticeRule.objects.get().problem

    def test_needs_a_mail_server(self, rule: MakeRule, look: Look, settings: Settings) -> None:
        settings.EMAIL_URL = {}
        rule()
        gateway.stop("The key is inactive.")
        look()
        assert "EMAIL_URL" in NoticeRule.objects.get().problem

    def test_is_given_up_after_some_tries(self, rule: MakeRule, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any) -> None:
            raise OSError

        monkeypatch.setattr("provisioning.notices.sending.EmailMessage.send", fail)
        rule()
        gateway.stop("The key is inactive.")
        for _ in range(15):
            look()
            pass_time(timedelta(days=1))
        notice = Notice.objects.get()
        assert (notice.tries, notice.due_at, notice.sent_at) == (10, None, None)
        assert NoticeRule.objects.get().problem.endswith("Check EMAIL_URL and DEFAULT_FROM_EMAIL. (OSError)")
