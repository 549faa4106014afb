"""The command that makes links, and the documented way to make them."""

import re
import shutil
import subprocess

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from provisioning.models import Account
from tests.checkout import ROOT
from tests.signup.accounts import TYPED
from tests.signup.single_sign_on.conftest import SECRET
from tests.signup.single_sign_on.links import PAGE

pytestmark = pytest.mark.django_db


class TestCommand:
    def test_it_prints_a_link_that_works(self, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("signup_link", "4711", "email=anna@nullmailer.com", "first_name=Anna=Maria", page=PAGE)

        printed = capsys.readouterr().out.strip()
        form = client.get(printed.removeprefix("http://testserver"), follow=True).context["form"]
        assert printed.startswith("http://testserver/start/?token=")
        assert form.initial == {"email": "anna@nullmailer.com", "first_name": "Anna=Maria"}

    def test_the_link_carries_your_own_id_for_the_account(
        self, client: Client, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("signup_link", "4711", "partner_account_id=CRM-4711", page=PAGE)

        client.get(capsys.readouterr().out.strip().removeprefix("http://testserver"), follow=True)
        client.post("/", TYPED)

        assert Account.objects.get().partner_account_id == "CRM-4711"

    @pytest.mark.parametrize("before", [[], [".example.com"], ["*"]], ids=str)
    def test_the_page_is_the_first_named_host_by_https(
        self, capsys: pytest.CaptureFixture[str], settings: Settings, before: list[str]
    ) -> None:
        settings.ALLOWED_HOSTS = [*before, "signup.example.com"]

        call_command("signup_link", "4711")

        assert capsys.readouterr().out.startswith("https://signup.example.com/start/?token=")

    @pytest.mark.parametrize(
        ("arguments", "changes", "why"),
        [
            (["4711", "mail=x"], {}, "There is no property mail"),
            (["4711", "password=x"], {}, "There is no property password"),
            ([" "], {}, "accept this ID"),
            (["4711", f"partner_account_id={81 * 'x'}"], {}, "accept this partner_account_id"),
            (["4711"], {"CONSTANT_CONTACT_IDP_PROVIDER": ""}, "off"),
            (["4711"], {"SIGNUP_LINK_KEY": ""}, "is not a secret"),
        ],
        ids=str,
    )
    def test_mistakes_are_explained(
        self, settings: Settings, arguments: list[str], changes: dict[str, str], why: str
    ) -> None:
        for name, value in changes.items():
            setattr(settings, name, value)

        with pytest.raises(CommandError, match=why):
            call_command("signup_link", *arguments)


def test_the_documented_link_works(client: Client, settings: Settings) -> None:
    """It needs no library, in another programming language, and only five lines."""
    program = re.search("```js\n(.+?)```", (ROOT / "docs/single-sign-on.md").read_text(), re.DOTALL)
    assert program
    assert program[1].count("\n") == 5
    node = shutil.which("node") or pytest.skip("Node is not found; on Debian: apt-get install nodejs")

    made = subprocess.run(
        [node, "-e", program[1]], env={"SIGNUP_LINK_KEY": SECRET}, capture_output=True, text=True, check=True
    )

    settings.ALLOWED_HOSTS = ["signup.example.com"]
    path = made.stdout.strip().removeprefix("https://signup.example.com")
    response = client.get(path, headers={"host": "signup.example.com"}, secure=True, follow=True)
    assert response.context["form"].initial == {"email": "anna@example.com"}
