"""Staff log in with their password, and guesses at it are stopped wherever it is asked for."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from provisioning.admin_site.throttling import MAX_FAILURES
from tests.provisioning.admin.conftest import STAFF_PASSWORD
from tests.provisioning.admin_site.conftest import log_in

pytestmark = pytest.mark.usefixtures("staff")


def test_staff_log_in_with_their_password(client: Client) -> None:
    assert log_in(client, "ana", STAFF_PASSWORD).status_code == 302


def test_guessing_passwords_is_stopped(client: Client) -> None:
    for _ in range(MAX_FAILURES - 1):
        assert log_in(client, "ana", "guess").status_code == 200
    response = log_in(client, "ana", "guess")
    assert response.status_code == 429
    assert "Too many failed logins" in response.content.decode()
    assert log_in(client, "ana", STAFF_PASSWORD).status_code == 429


def test_other_users_are_not_locked_out_with_the_guessed_one(client: Client) -> None:
    for _ in range(MAX_FAILURES):
        log_in(client, "ana", "guess")
    assert log_in(client, "ben", STAFF_PASSWORD).status_code == 302


def test_staff_are_not_locked_out_by_guesses_from_elsewhere(client: Client) -> None:
    for _ in range(MAX_FAILURES):
        log_in(Client(REMOTE_ADDR="203.0.113.9"), "ana", "guess")
    assert log_in(client, "ana", STAFF_PASSWORD).status_code == 302


GUESSES = {
    "/admin/confirm/": {"password": "guess"},
    "/admin/password_change/": {"old_password": "guess", "new_password1": "another-1", "new_password2": "another-1"},
}


@pytest.mark.parametrize("page", GUESSES)
def test_guessing_is_stopped_wherever_a_password_is_asked_for(client: Client, page: str) -> None:
    client.force_login(User.objects.get(username="ana"))
    for _ in range(MAX_FAILURES):
        response = client.post(page, GUESSES[page])
    assert response.status_code == 429
    right = dict.fromkeys(("password", "old_password"), STAFF_PASSWORD)
    assert client.post(page, GUESSES[page] | right).status_code == 429
    assert User.objects.get(username="ana").check_password(STAFF_PASSWORD)
