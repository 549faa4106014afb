"""Who may use the API, and that nobody else learns anything."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from provisioning.models import Account
from signup import visits
from signup.api import access, keys
from signup.models import ApiKey, Brand
from tests.signup.accounts import account
from tests.signup.api.partner import BODY, SIGNUPS, Partner

pytestmark = pytest.mark.django_db


def test_a_key_is_stored_as_a_digest_only(partner: Partner) -> None:
    kept = repr(ApiKey.objects.values().get()) + repr(partner.key) + str(partner.key)

    assert partner.token not in kept
    assert partner.token.split("_", 2)[2] not in kept
    assert partner.token.startswith(partner.key.prefix)


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer ccs_aaaaaaaa_" + "a" * 43, "Bearer \0é"]
)
def test_without_a_key_that_exists_there_is_nothing_to_see(partner: Partner, given: str) -> None:
    answer = Client().get(SIGNUPS, headers={"Authorization": given} if given else {})

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="api"')
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_rest_of_a_key_has_to_be_right_too(partner: Partner) -> None:
    partner.headers["Authorization"] = f"Bearer {partner.token[:-1]}{'a' if partner.token[-1] != 'a' else 'b'}"

    assert partner.get(SIGNUPS).status_code == 401


def test_a_revoked_or_expired_key_ends_at_once(partner: Partner) -> None:
    assert partner.get(SIGNUPS).status_code == 200
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert partner.get(SIGNUPS).status_code == 401
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    assert partner.get(SIGNUPS).status_code == 200

    assert keys.revoke(partner.key)

    assert partner.get(SIGNUPS).status_code == 401
    assert not keys.revoke(partner.key)


@pytest.mark.parametrize("scope", ["create", "read", "correct", "staff"])
def test_a_key_does_only_what_its_scopes_say(db: None, scope: str) -> None:
    partner = Partner(scope)

    answers = {
        "create": partner.sign_up(),
        "read": partner.get(SIGNUPS),
    }

    for needed, answer in answers.items():
        if needed == scope:
            assert answer.status_code < 300
        else:
            assert (answer.status_code, answer.json()["code"], answer.json()["scope"]) == (403, "scope", needed)
            assert "insufficient_scope" in answer.headers["WWW-Authenticate"]
    assert Account.objects.count() == (scope == "create")


@pytest.mark.parametrize(
    ("address", "status"), [("203.0.113.8", 200), ("203.0.114.1", 403), ("2001:db8::1", 200), ("2001:db9::", 403)]
)
def test_a_key_works_only_in_its_networks(db: None, address: str, status: int) -> None:
    partner = Partner(networks="203.0.113.0/24\n2001:db8::/32")

    answer = partner.client.get(SIGNUPS, headers=partner.headers, REMOTE_ADDR=address)

    assert answer.status_code == status
    assert status == 200 or answer.json()["code"] == "network"


@pytest.mark.parametrize("network", ["::ffff:203.0.113.8", "::ffff:203.0.113.0/120", "::FFFF:cb00:7108"])
@pytest.mark.parametrize("address", ["203.0.113.8", "::ffff:203.0.113.8"])
def test_a_network_may_be_written_as_a_server_that_listens_on_ipv6_sees_it(
    db: None, network: str, address: str
) -> None:
    partner = Partner(networks=network)

    def status(address: str) -> int:
        answer: Any = partner.client.get(SIGNUPS, headers=partner.headers, REMOTE_ADDR=address)
        return int(answer.status_code)

    assert status(address) == 200
    assert status("::ffff:198.51.100.1") == 403


def test_behind_a_proxy_the_network_is_the_callers(db: None, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    partner = Partner(networks="203.0.113.8")

    def status(forwarded: str) -> int:
        answer: Any = partner.client.get(SIGNUPS, headers=partner.headers | {"X-Forwarded-For": forwarded})
        return int(answer.status_code)

    assert status("203.0.113.8") == 200
    assert status("203.0.113.8, 198.51.100.1") == 403


def test_a_brands_key_sees_only_its_brand(db: None) -> None:
    alder = Brand.objects.create(name="Alder", host="alder.example.com")
    other = Brand.objects.create(name="Others", host="")
    of_alder, of_other = account("queued", host="alder.example.com"), account("queued", host="birch.example.com")

    for brand, mine, foreign in ((alder, of_alder, of_other), (other, of_other, of_alder)):
        partner = Partner(brand=brand)
        assert [each["reference"] for each in partner.get(SIGNUPS).json()["items"]] == [str(mine.reference)]
        assert partner.get(f"{SIGNUPS}/{mine.reference}").status_code == 200
        assert partner.get(f"{SIGNUPS}/{foreign.reference}").status_code == 404
        assert partner.get(SIGNUPS, cursor=foreign.reference).status_code == 400


def test_a_key_of_the_default_brand_creates_nothing_for_another_one(db: None) -> None:
    Brand.objects.create(name="Alder", host="testserver")
    partner = Partner(brand=Brand.objects.create(name="Others", host=""))

    answer = partner.sign_up()

    assert (answer.status_code, answer.json()["code"]) == (403, "brand")
    assert (
        partner.client.post(
            SIGNUPS, BODY, "application/json", headers=partner.headers | {"Idempotency-Key": "1", "Host": "localhost"}
        ).status_code
        == 202
    )


def test_the_last_use_is_written_once_a_minute(partner: Partner, django_assert_num_queries: Any) -> None:
    partner.get(SIGNUPS)
    first = ApiKey.objects.get().last_used_at
    assert first

    with django_assert_num_queries(2):  # The key, and the list.
        partner.get(SIGNUPS)
    assert ApiKey.objects.get().last_used_at == first

    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    partner.get(SIGNUPS)
    assert ApiKey.objects.get().last_used_at != first - timedelta(minutes=2)


class TestTooManyRequests:
    """Of one key within a minute."""

    @pytest.fixture(autouse=True)
    def limited(self, partner: Partner, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.ABUSE_PROTECTION = True
        monkeypatch.setattr(access, "REQUESTS_A_MINUTE", 4)
        monkeypatch.setattr(access, "BATCH", 2)
        self.now = 600.0 * partner.key.pk
        monkeypatch.setattr(time, "time", lambda: self.now)

    def test_are_refused_until_the_next_one(self, partner: Partner) -> None:
        answers = [partner.get(SIGNUPS) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
        assert answers[4].headers["Retry-After"] == "60"
        assert Partner().get(SIGNUPS).status_code == 200
        self.now += 60
        assert partner.get(SIGNUPS).status_code == 200

    def test_are_counted_over_all_processes(self, partner: Partner) -> None:
        """Each draws two requests at a time, so one that a process doesn't use is lost."""
        answers = []
        for _process in range(3):
            cache.clear()  # Each process has one of its own.
            answers += [partner.get(SIGNUPS).status_code for _ in range(3)]
        assert answers == [200] * 3 + [429] * 6

    def test_cost_hardly_a_query(self, partner: Partner, django_assert_num_queries: Any) -> None:
        partner.get(SIGNUPS)
        with django_assert_num_queries(2):  # The key, and the list.
            partner.get(SIGNUPS)
        for _ in range(3):
            partner.get(SIGNUPS)
        with django_assert_num_queries(1):  # The key.
            assert partner.get(SIGNUPS).status_code == 429

    def test_are_counted_by_each_process_if_nothing_can_be_written(
        self, partner: Partner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> bool:
            raise OperationalError

        monkeypatch.setattr(visits, "add_within", fail)
        assert [partner.get(SIGNUPS).status_code for _ in range(6)] == [200] * 4 + [429] * 2


def test_no_cookie_is_read_or_set(partner: Partner) -> None:
    partner.client.cookies["__Host-sessionid"] = "made-up"
    partner.client.cookies["__Host-language"] = "fr"

    answers = [partner.sign_up(email="anna"), partner.get(SIGNUPS), partner.get("/api/nowhere")]

    assert "email address" in answers[0].json()["errors"][0]["message"]
    for answer in answers:
        assert not answer.cookies
        assert answer.headers["Cache-Control"] == "no-store"
        assert not any(name.startswith("Access-Control") for name in answer.headers)


def test_over_http_a_request_is_refused_and_not_redirected(partner: Partner, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True

    answer = partner.send(SIGNUPS, BODY)

    assert (answer.status_code, answer.json()["code"]) == (403, "https_required")
    assert partner.client.get(SIGNUPS, headers=partner.headers, secure=True).status_code == 200
