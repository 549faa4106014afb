import faulthandler
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.core.signals import setting_changed
from django.db import connection
from django.dispatch import receiver
from django.utils import translation
from pytest_django import Settings

from tests.checkout import Checkout
from tests.contract.observer import check_contract as check_contract
from tests.contract.observer import contract_violations as contract_violations
from tests.installed import installed
from tests.openid import OpenIdProvider
from tests.pgbouncer import PgBouncer
from tests.postgresql import PostgreSQL


def pytest_configure() -> None:
    """Hash passwords at once: Django's own hash takes a third of a second, so that it is slow to guess."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Put SQLite's test database into a file, so that other threads and processes can open it too."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "db.sqlite3")


STARTS_PROGRAMS = {"checkout", "database", "openid_provider", "pgbouncer", "prepared", "server", "site", "start"}
"""Fixtures that start programs, which takes seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") or {"db", "transactional_db"} & fixtures:
            item.add_marker(pytest.mark.database)
        if STARTS_PROGRAMS & fixtures:
            item.add_marker(pytest.mark.slow)


Roles = dict[str, list[tuple[str, str]]]


@pytest.fixture(scope="session")
def roles(django_db_setup: None, django_db_blocker: Any) -> Roles:
    """Return the roles that the migrations create, with their permissions."""
    from django.contrib.auth.models import Group  # Models can't be imported before Django is set up.

    with django_db_blocker.unblock():
        return {
            group.name: list(group.permissions.values_list("content_type__app_label", "codename"))
            for group in Group.objects.all()
        }


@pytest.fixture(autouse=True)
def roles_exist(request: pytest.FixtureRequest) -> None:
    """Restore the roles: a test that commits is followed by a flush of all tables, and any test may follow it."""
    if not request.node.get_closest_marker("database"):
        return
    from django.contrib.auth.models import Group, Permission

    roles: Roles = request.getfixturevalue("roles")
    request.getfixturevalue("db")
    if Group.objects.exists():
        return
    permissions = {(each.content_type.app_label, each.codename): each for each in Permission.objects.all()}
    for name, codenames in roles.items():
        Group.objects.create(name=name).permissions.set(permissions[codename] for codename in codenames)


@pytest.fixture(autouse=True)
def reset_language() -> None:
    """Reset the language. A request leaves its visitor's language active; on a server, the next one sets its own."""
    translation.deactivate()


@pytest.fixture(autouse=True)
def stop_watchdog() -> Iterator[None]:
    """Stop the watchdog of a worker that ran in this process."""
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def restore_connection_settings() -> Iterator[None]:
    """Undo what a command changed in the database's settings, which all threads of this process share."""
    before = dict(connection.settings_dict)
    yield
    connection.settings_dict.clear()
    connection.settings_dict.update(before)


@pytest.fixture(autouse=True)
def clear_caches() -> None:
    """Forget what an earlier test cached, such as which events it subscribed to."""
    for name in settings.CACHES:
        caches[name].clear()


@receiver(setting_changed)
def forget_pages(**_: object) -> None:
    """Clear cached pages, which depend on settings that change only in tests."""
    caches["pages"].clear()


@pytest.fixture
def api(request: pytest.FixtureRequest, settings: Settings) -> str:
    """Configure an API. For tests of both, see `BOTH`."""
    name: str = getattr(request, "param", settings.CONSTANT_CONTACT_API)
    settings.CONSTANT_CONTACT_API = name
    return name


Say = Callable[[str], object]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Return a function that prints a line even if the test passes."""

    def line(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return line


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path)
    yield checkout
    checkout.end()


@pytest.fixture
def database() -> Iterator[PostgreSQL]:
    """Start a PostgreSQL server for one test."""
    with installed(PostgreSQL) as database:
        yield database


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """Start a PostgreSQL server for a module whose tests don't stop it."""
    with installed(PostgreSQL) as server:
        yield server


@pytest.fixture
def pgbouncer(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[PgBouncer]:
    """Reach the tests' database through a pgbouncer. Skip the test on SQLite."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no pgbouncer.")
    where = connection.settings_dict
    with installed(PgBouncer, where["PORT"]) as pgbouncer:
        connection.close()
        with monkeypatch.context() as through:
            through.setitem(where, "PORT", pgbouncer.port)
            yield pgbouncer
            connection.close()


@pytest.fixture(scope="session")
def openid_provider() -> Iterator[OpenIdProvider]:
    """Start one provider for all tests. Without Node, skip them, or fail them in CI."""
    with installed(OpenIdProvider) as provider:
        yield provider


@pytest.fixture
def openid(openid_provider: OpenIdProvider) -> Iterator[OpenIdProvider]:
    """Return a real OpenID provider, with no fault set and no cached metadata."""
    from signup.single_sign_on.openid import metadata_cache  # It imports models, which are not loaded at import time.

    metadata_cache.clear()
    yield openid_provider
    openid_provider.spoiled = ""
