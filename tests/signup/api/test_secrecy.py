"""Passwords and keys are in no log, no answer, no exception, and nowhere in the database but sealed."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.test import Client
from pytest_django import Settings

from provisioning import services
from provisioning.models import Account
from signup.api import listing
from tests.provisioning.test_secrecy import stored
from tests.signup.api.partner import BODY, SIGNUPS, Partner

PASSWORD = "goldfinch-Customer.1"
WRONG = "goldfinch wrong, with a ß"


@pytest.mark.slow  # It reads the whole database.
@pytest.mark.django_db(transaction=True)
def test_no_secret_is_left_anywhere(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.ABUSE_PROTECTION = True
    partner = Partner()
    body = BODY | {"password": PASSWORD}

    said = [repr(partner.key), repr(vars(partner.key)), *travel(partner, body, monkeypatch)]
    said += [record.getMessage() + repr(record.__dict__) for record in caplog.records] + [
        caplog.text,
        *capfd.readouterr(),
    ]
    said += stored()

    told = "\n".join(said)
    assert "Traceback" in told
    assert partner.key.prefix in told
    digests = [
        hashlib.new(name, text.encode()).hexdigest() for name in ("md5", "sha1", "sha256") for text in plain(body)
    ]
    for secret in (PASSWORD, WRONG, partner.token, partner.token.split("_", 2)[2], *digests):
        assert secret not in told


def plain(body: dict[str, Any]) -> list[str]:
    """Return the texts that a careless digest might be of."""
    return [PASSWORD, json.dumps(body), json.dumps(body, sort_keys=True), json.dumps(body, separators=(",", ":"))]


def travel(partner: Partner, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Send everything that can go right or wrong, and return what was answered."""
    key = {"Idempotency-Key": "order-1"}
    answers = [
        partner.send(SIGNUPS, body, **key),
        partner.send(SIGNUPS, body, **key),
        partner.send(SIGNUPS, body | {"phone": "12345"}, **key),
        partner.send(SIGNUPS, body | {"password": WRONG}, **{"Idempotency-Key": "order-2"}),
        partner.send(SIGNUPS, body | {"pasword": PASSWORD}, **key),
        partner.send(SIGNUPS, json.dumps(body).encode()[:-4], **key),
        partner.send(SIGNUPS, json.dumps(body | {"password": [PASSWORD]}).encode(), **{"Idempotency-Key": "order-3"}),
        partner.send(SIGNUPS, b'{"password": "' + PASSWORD.encode() + b'", "password": 1}', **key),
        partner.send(SIGNUPS, json.dumps({"password": PASSWORD}).encode(), content_type="text/plain", **key),
        partner.get(SIGNUPS),
        Client().get(SIGNUPS, headers={"Authorization": f"Bearer {partner.token}x"}),
        Client(raise_request_exception=False).get("/api/nowhere", headers=partner.headers),
    ]
    account = Account.objects.get()
    Account.objects.update(state="rejected")
    address = f"{SIGNUPS}/{account.reference}"
    answers += [partner.send(address, {"password": text}, method="PATCH") for text in (WRONG, PASSWORD, PASSWORD)]

    def fail(*_: object) -> None:
        raise IntegrityError("goldfinch")

    with monkeypatch.context() as broken:
        broken.setattr(services, "submit", fail)
        broken.setattr(listing, "page", fail)
        answers += [partner.get(SIGNUPS), partner.send(SIGNUPS, body, **{"Idempotency-Key": "order-4"})]
    assert {answer.status_code for answer in answers} >= {200, 202, 400, 401, 404, 415, 422, 500}
    staff = Client()
    staff.force_login(User.objects.create_superuser("ana"))
    pages = [staff.get(f"/admin/{path}") for path in ("signup/apikey/", f"provisioning/account/{account.pk}/change/")]
    return [answer.content.decode() + repr(answer.headers) for answer in (*answers, *pages)]
