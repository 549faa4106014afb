"""A link works once, and another customer's link asks first."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.signing import TimestampSigner
from django.test import Client

from signup.emails import links
from signup.models import UsedLink
from signup.single_sign_on import link
from tests.provisioning.work import at_once
from tests.signup.accounts import account
from tests.signup.single_sign_on.links import PAGE, USED, follow, token, told

pytestmark = pytest.mark.django_db


def expire_proof(client: Client) -> None:
    session = client.session
    session["proof"] = {**session["proof"], "until": 0}
    session.save()


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
    assert 'logged in as <strong translate="no" dir="auto">anna@example.com' in client.get("/").content.decode()
    assert not UsedLink.objects.filter(digest=link.read(other, PAGE).digest).exists()

    client.post("/start/", {"token": other}, QUERY_STRING=f"token={other}")

    assert 'logged in as <strong translate="no" dir="auto">bob@example.com' in client.get("/").content.decode()


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
    path = f"/signup/open/?token={TimestampSigner(salt=links.SALT).sign(str(theirs.reference))}"

    asked = client.get(path)

    assert "anna@example.com" in asked.content.decode()
    assert client.get(f"/signup/{theirs.reference}/").status_code == 404
    assert client.post(path).headers["Location"] == f"/signup/{theirs.reference}/"
    assert client.get(f"/signup/{theirs.reference}/").status_code == 200
    assert client.get("/").headers.get("Location") is None  # The first customer's proof is gone.
    assert "anna@example.com" not in client.get("/").content.decode()


@pytest.mark.parametrize("way", ["signed link", "link in an email"])
def test_whoever_comes_next_cannot_open_the_first_ones_account(client: Client, way: str) -> None:
    """At a shared computer: the proof is replaced, so the accounts of its customer must be, too."""
    follow(client, token(sub="1"))
    first = account("created", idp_provider_id="1")
    page = client.get("/").headers["Location"]
    assert page == f"/signup/{first.reference}/"
    path = f"/start/?token={token(sub='2')}"
    if way == "link in an email":
        signed = TimestampSigner(salt=links.SALT).sign(str(account("created", idp_provider_id="2").reference))
        path = f"/signup/open/?token={signed}"

    client.post(path)

    assert client.get(page).status_code == 404
