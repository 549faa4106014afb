"""Keys that no form and no list offers are refused like any other wrong choice, however long they are."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from tests.provisioning.admin.conftest import Make, told
from tests.provisioning.work import again

pytestmark = pytest.mark.django_db

TOO_LONG = ("9" * 30, "-" + "9" * 30, str(2**63), str(-(2**63) - 1))
NO_NUMBERS = ("x", "1e5", "1.5", "²", "None", "9" * 5000)


def test_no_row_has_a_key_that_is_too_long_for_the_database() -> None:
    group = Group.objects.create(name="Desk")
    for key in TOO_LONG:
        assert list(Group.objects.filter(pk__in=[key, group.pk])) == [group]
        assert not Group.objects.filter(pk__in=[key]).exists()
        assert group in Group.objects.exclude(pk__in=[int(key)])


@pytest.mark.parametrize(("form", "field"), [("auth/user", "groups"), ("auth/group", "permissions")])
def test_a_form_says_that_a_made_up_key_is_no_choice(admin_client: Client, form: str, field: str) -> None:
    user, group = User.objects.create_user("ben", is_staff=True), Group.objects.create(name="Desk")
    path = f"/admin/{form}/{user.pk if form == 'auth/user' else group.pk}/change/"
    for key in (*TOO_LONG, *NO_NUMBERS):
        response = admin_client.post(path, {"username": "ben", "name": "Desk", "is_active": "on", field: [key]})
        assert response.context["adminform"].form.has_error(field), key


@pytest.mark.parametrize("confirmed", [{}, {"post": "yes"}])
def test_no_list_acts_on_a_made_up_key(admin_client: Client, make: Make, confirmed: dict[str, str]) -> None:
    account = make()
    for key in (*TOO_LONG, *NO_NUMBERS):
        sent = {"action": "assign", "_selected_action": key, "index": "0"} | confirmed
        assert admin_client.post("/admin/provisioning/account/", sent).status_code in {200, 302}, key
    assert again(account).assignee is None


def test_staff_read_that_nothing_was_done(admin_client: Client) -> None:
    sent = {"action": "assign", "_selected_action": "x", "index": "0"}
    assert told(admin_client.post("/admin/provisioning/account/", sent, follow=True)) == (
        "Nothing was done. Select one or more accounts in the list first."
    )
