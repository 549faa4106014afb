"""Bots are stopped, and people pass."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from signup.form_guard import MINIMUM_SECONDS
from tests.signup.abuse.conftest import opened
from tests.signup.accounts import CANARY, hidden

pytestmark = pytest.mark.django_db

Clock = Callable[[float], None]
FORM = "/"


def test_a_person_passes(send: Callable[..., Any]) -> None:
    assert send().headers["Location"] == f"/signup/{Account.objects.get().reference}/"


@pytest.mark.parametrize(
    ("changes", "seconds", "told", "logged"),
    [
        ({"comment": "Cheap pills"}, MINIMUM_SECONDS, "A field that people", "decoy"),
        ({}, MINIMUM_SECONDS - 0.1, "so quick", "quick"),
        ({"shown": ""}, MINIMUM_SECONDS, "opened before our last update", "unreadable"),
        ({"shown": "forged:signature"}, MINIMUM_SECONDS, "opened before our last update", "unreadable"),
        ({"shown": "\0é\ud7ff"}, MINIMUM_SECONDS, "opened before our last update", "unreadable"),
        ({"submission": str(uuid.uuid4())}, MINIMUM_SECONDS, "opened before our last update", "unreadable"),
    ],
)
def test_a_bot_is_stopped_and_a_person_taken_for_one_can_send_again(
    client: Client,
    wait: Clock,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, str],
    seconds: float,
    told: str,
    logged: str,
) -> None:
    form = opened(client) | changes
    wait(seconds)

    refused = client.post(FORM, form)

    page = refused.content.decode()
    assert told in page
    assert "send the form once more" in page
    assert f'value="{form["username"]}"' in page
    assert "Cheap pills" not in page
    assert caplog.messages == [f"sign-up stopped by={logged}"]
    assert CANARY not in page
    assert not Account.objects.exists()

    wait(MINIMUM_SECONDS)
    assert client.post(FORM, form | hidden(refused) | {"comment": ""}).status_code == 302


def test_the_time_counts_from_when_the_form_was_first_shown(client: Client, wait: Clock) -> None:
    form = opened(client)
    wait(MINIMUM_SECONDS)
    again = hidden(client.post(FORM, form | {"email": "anna@"}))

    assert client.post(FORM, form | again).status_code == 302


def test_the_decoy_has_a_label_and_is_skipped_by_keyboard_and_autofill(client: Client) -> None:
    page = client.get(FORM).content.decode()

    assert '<label>Leave this empty <input name="comment" autocomplete="off" tabindex="-1"></label>' in page
    assert "style=" not in page


def test_a_form_from_before_a_new_secret_key_is_explained(client: Client, wait: Clock, settings: Settings) -> None:
    form = opened(client)
    wait(3600)
    settings.SECRET_KEY = "another"

    refused = client.post(FORM, form)

    assert "so quick" not in refused.content.decode()
    assert "opened before our last update" in refused.content.decode()
    wait(MINIMUM_SECONDS)
    assert client.post(FORM, form | hidden(refused)).status_code == 302
