"""What the doctor finds in the settings, the database, and the workers."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from provisioning.models import Account, Worker
from provisioning.sealed import Sealed
from signup.brand.models import Brand
from signup.doctor import Level, installation
from tests.provisioning.work import account_in
from tests.signup.doctor.conftest import levels

pytestmark = pytest.mark.django_db


def test_a_brand_whose_host_is_not_served_is_a_failure(settings: Settings) -> None:
    Brand.objects.create(host="shop.example.com", name="Shop")
    Brand.objects.create(name="All others")
    settings.ALLOWED_HOSTS = [".example.com"]
    assert levels(installation.check_brands()) == []

    settings.ALLOWED_HOSTS = ["signup.example.com"]
    assert [finding.text for finding in installation.check_brands()] == [
        "shop.example.com is the host name of a brand, but not in ALLOWED_HOSTS."
    ]


def test_keys_that_open_nothing_new_are_a_failure(settings: Settings) -> None:
    assert levels(installation.check_sealing_keys()) == [Level.OK]
    account_in(Account.State.QUEUED, password=Sealed.of("canary"))
    assert levels(installation.check_sealing_keys()) == [Level.OK]
    settings.SEALING_KEYS = [Fernet.generate_key().decode()]
    assert levels(installation.check_sealing_keys()) == [Level.FAILURE]


def test_a_worker_with_a_problem_is_a_failure() -> None:
    Worker.objects.create(name="host:1", problem="The database is read-only.")
    assert levels(installation.check_workers()) == [Level.FAILURE]
