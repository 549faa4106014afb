from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.provisioning.admin.conftest import STAFF_PASSWORD


@pytest.fixture
def administrator(as_role: Callable[[str], Client]) -> Client:
    return as_role("Administrator")


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser("root", "root@example.com", "root-word-1")


@pytest.fixture
def colleague(db: None) -> User:
    return User.objects.create_user("colleague", password=STAFF_PASSWORD, is_staff=True)
