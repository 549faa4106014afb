from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db.models.functions import Now
from django.test import Client

from provisioning import gateway
from provisioning.models import Account, Attempt, ListPass
from signup.brand.models import Brand
from signup.models import Mail, SentMail
from tests.signup.accounts import account

State = Account.State
DONE = {"Your brand", "Credentials", "A test sign-up", "Email", "Your team"}


@pytest.fixture(autouse=True)
def new_installation(settings: Any) -> None:
    settings.BRAND_NAME = ""
    settings.EMAIL_URL = {}


@pytest.fixture
def steps(admin_client: Client) -> Callable[[], dict[str, Any]]:
    return lambda: {step.name: step for step in admin_client.get("/admin/").context["steps"]}


Steps = Callable[[], dict[str, Any]]


def done(steps: Steps) -> set[str]:
    return {name for name, step in steps().items() if step.is_done}


def test_an_empty_installation_leads_through_five_steps(admin_client: Client, steps: Steps) -> None:
    assert set(steps()) == DONE
    assert done(steps) == set()
    page = admin_client.get("/admin/").content.decode()
    assert "Five steps to your live page" in page
    for step in steps().values():
        assert f'<a href="{step.url}">{step.name}</a>' in page
        assert admin_client.get(step.url).status_code == 200


def test_accepted_credentials_are_not_done_any_more_once_they_are_refused(steps: Steps) -> None:
    """The banner above says so, and both must not contradict each other."""
    ListPass.objects.create(source="", pages=1)
    assert "Credentials" in done(steps)

    gateway.stop("Constant Contact answered 401.")

    assert "The banner above says why." in steps()["Credentials"].text


def test_a_brand_is_done_once_it_has_a_name(steps: Steps, settings: Any) -> None:
    settings.BRAND_NAME = "Harbor"
    assert "Your brand" in done(steps)
    settings.BRAND_NAME = ""
    Brand.objects.create(name="Harbor")
    assert steps()["Your brand"].text == "Customers see Harbor."


def test_credentials_are_done_once_constant_contact_accepts_them(steps: Steps, settings: Any) -> None:
    settings.CONSTANT_CONTACT_API_KEY = ""
    assert steps()["Credentials"].text == (
        "Not set yet: CONSTANT_CONTACT_API_KEY. Ask whoever runs this installation to set them."
    )
    settings.CONSTANT_CONTACT_API_KEY = "canary-api-key"
    assert "first call" in steps()["Credentials"].text
    gateway.stop("401")
    assert "banner" in steps()["Credentials"].text
    gateway.resume()
    Attempt.objects.create(account=account(State.REJECTED), kind="create").complete(outcome="refused")
    assert "Credentials" in done(steps)


def test_a_test_is_done_once_an_account_is_created(steps: Steps) -> None:
    account(State.QUEUED)
    assert steps()["A test sign-up"].text.endswith("no account has been created yet. Open the sign-up to see why.")
    account(State.CREATED)
    assert "A test sign-up" in done(steps)


def test_email_is_done_once_a_mail_server_accepts_it(steps: Steps, settings: Any) -> None:
    settings.EMAIL_URL = {"EMAIL_HOST": "mail.example.com"}
    assert "Email" in done(steps)
    created = account(State.CREATED)
    waiting = Mail.objects.create(account=created, due_at=Now(), tries=1, problem="SMTPAuthenticationError 535")
    assert steps()["Email"].text == "The mail server has not taken the last email yet: SMTPAuthenticationError 535."
    waiting.delete()
    SentMail.objects.create(account=created, event="created", problem="SMTPServerDisconnected")
    assert steps()["Email"].text == "The last email may not have been sent: SMTPServerDisconnected."
    SentMail.objects.create(account=created, event="created")
    SentMail.objects.create(account=created, event="created", problem="SMTPServerDisconnected")
    assert "Email" in done(steps)


def test_a_team_is_more_than_one(steps: Steps) -> None:
    User.objects.create_user("gone", is_staff=True, is_active=False)
    assert "Your team" not in done(steps)
    User.objects.create_user("ana", is_staff=True)
    assert steps()["Your team"].text == "2 people can log in."


def test_the_steps_are_gone_once_all_are_done(
    admin_client: Client,
    steps: Steps,
    settings: Any,
) -> None:
    settings.BRAND_NAME, settings.EMAIL_URL = "Harbor", {"EMAIL_HOST": "mail.example.com"}
    User.objects.create_user("ana", is_staff=True)
    Attempt.objects.create(account=account(State.CREATED), kind="create").complete(outcome="created")
    assert steps() == {}
    assert "Five steps" not in admin_client.get("/admin/").content.decode()


@pytest.mark.parametrize(("role", "led"), [("Viewer", False), ("Operator", False), ("Administrator", True)])
def test_only_administrators_see_the_steps(client: Client, db: None, role: str, led: bool) -> None:
    user = User.objects.create_user("ana", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    assert ("Five steps" in client.get("/admin/").content.decode()) == led
