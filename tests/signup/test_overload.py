"""Overload: when the database can't keep up with sign-ups, the wait is limited, and nothing typed is lost."""

import fcntl
import html
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import OperationalError, ProgrammingError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from provisioning import services
from provisioning.models import Account
from signup import write_lock
from signup.brand.models import Brand
from tests.signup.accounts import CANARY, TYPED, account, hidden
from tests.signup.api.partner import Partner
from tests.signup.test_health import read_only_database

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def form(client: Client) -> dict[str, str]:
    return TYPED | hidden(client.get("/"))


@pytest.fixture(
    params=[
        "the database says so",
        "its role lacks a permission",
        "it takes no writes",
        "too many wait for the lock",
        "another process takes too long",
    ]
)
def overloaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "the database says so":
        monkeypatch.setattr(services, "submit", _fail)
        yield
    elif "permission" in request.param:
        monkeypatch.setattr(services, "submit", _refuse)
        yield
    elif request.param == "it takes no writes":
        with read_only_database():
            yield
    elif connection.vendor != "sqlite":
        pytest.skip("only SQLite needs a lock")
    else:
        monkeypatch.setattr(write_lock, "MAX_WAIT", 0)
        with write_lock._threads if "many" in request.param else _another_process():
            yield


@contextmanager
def _another_process() -> Iterator[None]:
    directory = os.open(Path(str(connection.settings_dict["NAME"])).parent, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    yield
    os.close(directory)


def _fail(*_: object, **__: object) -> None:
    raise OperationalError("database is locked")


def _refuse(*_: object, **__: object) -> None:
    raise ProgrammingError("permission denied for table provisioning_account")


@pytest.mark.usefixtures("overloaded")
def test_an_overload_keeps_all_typed_values_but_the_password(client: Client, form: dict[str, str]) -> None:
    answer = client.post("/", form)

    page = html.unescape(answer.content.decode())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "We can't store your sign-up right now." in page
    assert all(f'value="{form[name]}"' in page for name in ("organization_name", "email", "username", "submission"))
    assert CANARY not in page
    assert not Account.objects.exists()


@pytest.mark.parametrize(
    ("state", "query"), [(Account.State.REJECTED, ""), (Account.State.HELD, "?change=email")], ids=str
)
def test_a_correction_that_cannot_be_stored_stays_filled_in(
    client: Client, page_of: Callable[[Account], str], state: str, query: str
) -> None:
    address = page_of(account(state, {"email": "No."} if state == Account.State.REJECTED else {})) + query

    with read_only_database():
        answer = client.post(address, {"email": "new@nullmailer.com"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "We can't store your sign-up right now." in html.unescape(answer.content.decode())
    assert 'value="new@nullmailer.com"' in answer.content.decode()
    assert Account.objects.get().email == TYPED["email"]
    assert client.post(address, {"email": "new@nullmailer.com"}).status_code == 302
    assert Account.objects.get().email == "new@nullmailer.com"


def test_sending_the_form_again_after_an_overload_makes_one_account(
    client: Client, form: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as overload:
        overload.setattr(services, "submit", _fail)
        page = client.post("/", form).content.decode()
    kept = dict(re.findall(r'name="(submission)" value="([^"]+)"', page))

    assert client.post("/", form | kept).status_code == 302
    assert Account.objects.get().submission.hex == form["submission"].replace("-", "")


@pytest.fixture
def down(client: Client, form: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database and the cached brand disappear after the form was shown."""
    caches["pages"].clear()
    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", _fail)


@pytest.mark.usefixtures("down")
def test_without_a_database_the_form_is_shown_and_keeps_typed_values(client: Client, form: dict[str, str]) -> None:
    assert client.get("/").status_code == 200

    answer = client.post("/", form)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert f'value="{form["username"]}"' in answer.content.decode()


@pytest.mark.usefixtures("down")
def test_without_a_database_other_pages_say_when_to_come_back(client: Client) -> None:
    client.raise_request_exception = False
    client.cookies[settings.SESSION_COOKIE_NAME] = "x" * 40

    answer = client.get(f"/signup/{uuid4()}/")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "try again in a minute" in answer.content.decode()


def test_a_database_without_writes_is_no_mistake_of_ours(client: Client) -> None:
    client.raise_request_exception = False
    with read_only_database():
        answer = client.post("/admin/login/", {"username": "dora", "password": CANARY})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_callers_of_the_api_are_told_when_to_come_again() -> None:
    partner = Partner()
    with read_only_database():
        answer = partner.sign_up()

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "30"


def test_a_brand_is_remembered_while_the_database_is_down(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    Brand.objects.create(name="Alder & Co")
    client.get("/")
    sleep(1)  # The brand is cached for a second.
    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", _fail)

    assert "Alder &amp; Co" in client.get("/").content.decode()
