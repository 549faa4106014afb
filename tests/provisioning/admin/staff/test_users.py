"""What staff may do to other staff: nobody can give themselves or others more permissions than they have."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning.templatetags.times import exact
from signup.models import StaffIdentity
from tests.provisioning.admin.conftest import STAFF_PASSWORD
from tests.provisioning.admin_site.conftest import is_in

pytestmark = pytest.mark.once

AsRole = Callable[[str], Client]
USERS, GROUPS = "/admin/auth/user/", "/admin/auth/group/"
NEW_PASSWORD = {"usable_password": "true", "password1": "a-new-word-1", "password2": "a-new-word-1"}


@pytest.fixture
def from_provider(db: None) -> User:
    """Return a user who logs in through the identity provider."""
    user = User.objects.create_user("petra", is_staff=True)
    user.set_unusable_password()
    user.save()
    StaffIdentity.objects.create(user=user, issuer="https://id.example.com", subject="1")
    return user


def entered(user: User, **changes: Any) -> dict[str, Any]:
    """Return the form of a user, with changes."""
    return {
        "username": user.username,
        "is_active": "on",
        "groups": [group.pk for group in user.groups.all()],
    } | changes


def save(client: Client, user: User, **changes: Any) -> Any:
    return client.post(f"{USERS}{user.pk}/change/", entered(user, **changes))


class TestAnAdministrator:
    def test_cannot_become_superuser(self, administrator: Client) -> None:
        own = User.objects.get(username="administrator-ana")
        save(administrator, own, is_superuser="on")
        own.refresh_from_db()
        assert not own.is_superuser

    def test_cannot_give_single_permissions(self, administrator: Client, colleague: User) -> None:
        save(administrator, colleague, user_permissions=[Permission.objects.all()[0].pk])
        assert not colleague.user_permissions.exists()

    def test_ends_the_sessions_of_a_colleague_who_becomes_inactive(
        self, administrator: Client, colleague: User
    ) -> None:
        theirs = Client()
        theirs.force_login(colleague)
        assert theirs.get("/admin/").status_code == 200
        save(administrator, colleague, is_active="")
        save(administrator, colleague)
        assert theirs.get("/admin/").status_code == 302

    def test_sees_no_superuser(self, administrator: Client, superuser: User) -> None:
        page = administrator.get(USERS).content.decode()
        assert "administrator-ana" in page
        assert "root" not in page
        assert administrator.get(f"{USERS}{superuser.pk}/change/").status_code == 302
        assert not administrator.get(USERS, {"q": "root"}).context["cl"].result_list

    def test_cannot_change_a_superuser_or_reset_the_password(self, administrator: Client, superuser: User) -> None:
        save(administrator, superuser, is_active="")
        assert administrator.post(f"{USERS}{superuser.pk}/password/", NEW_PASSWORD).status_code in {403, 404}
        superuser.refresh_from_db()
        assert superuser.is_active
        assert superuser.check_password("root-word-1")

    def test_cannot_change_a_user_with_more_permissions(self, administrator: Client, colleague: User) -> None:
        colleague.user_permissions.add(Permission.objects.get(codename="delete_session"))
        save(administrator, colleague, is_active="")
        assert administrator.post(f"{USERS}{colleague.pk}/password/", NEW_PASSWORD).status_code == 403
        colleague.refresh_from_db()
        assert colleague.is_active
        assert colleague.check_password(STAFF_PASSWORD)

    def test_cannot_give_a_group_with_more_permissions(self, administrator: Client, colleague: User) -> None:
        powerful = Group.objects.create(name="Powerful")
        powerful.permissions.add(Permission.objects.get(codename="delete_session"))
        save(administrator, colleague, groups=[powerful.pk])
        assert not colleague.groups.exists()

    def test_adds_and_removes_existing_groups(self, administrator: Client, colleague: User) -> None:
        operator = Group.objects.get(name="Operator")
        assert save(administrator, colleague, groups=[operator.pk]).status_code == 302
        assert list(colleague.groups.all()) == [operator]
        save(administrator, colleague, groups=[])
        assert not colleague.groups.exists()

    def test_adds_a_user_and_resets_a_password(self, administrator: Client, colleague: User) -> None:
        operator = Group.objects.get(name="Operator")
        administrator.post(f"{USERS}add/", {"username": "new", "groups": [operator.pk], **NEW_PASSWORD})
        new = User.objects.get(username="new")
        assert (new.is_superuser, new.is_staff, [*new.groups.all()]) == (False, True, [operator])
        administrator.post(f"{USERS}{colleague.pk}/password/", NEW_PASSWORD)
        colleague.refresh_from_db()
        assert colleague.check_password("a-new-word-1")


def test_a_superuser_does_all_that(admin_client: Client, colleague: User) -> None:
    save(admin_client, colleague, is_superuser="on")
    colleague.refresh_from_db()
    assert colleague.is_superuser
    assert admin_client.post(f"{GROUPS}add/", {"name": "More", "permissions": []}).status_code == 302


def test_nothing_of_a_passwords_hash_is_shown(admin_client: Client, colleague: User) -> None:
    colleague.set_password(STAFF_PASSWORD)
    colleague.save()

    page = admin_client.get(f"{USERS}{colleague.pk}/change/").content.decode()

    assert "<strong>Set</strong>" in page
    assert "Reset password" in page
    assert "algorithm" not in page


def test_a_new_user_and_a_new_password_need_both_fields(admin_client: Client, colleague: User) -> None:
    for page in (f"{USERS}add/", f"{USERS}{colleague.pk}/password/"):
        assert len(re.findall(r'type="password"[^>]* required', admin_client.get(page).content.decode())) == 2
    page = admin_client.get(f"{USERS}{colleague.pk}/password/").content.decode()
    assert f'<a class="closelink" href="{USERS}{colleague.pk}/change/">Cancel</a>' in page


def test_saving_as_new_which_no_form_offers_is_not_a_server_error(admin_client: Client, colleague: User) -> None:
    assert admin_client.post(f"{USERS}{colleague.pk}/change/", {"_saveasnew": "1"}).status_code == 200


def test_no_form_offers_single_permissions(admin_client: Client, colleague: User) -> None:
    for page in (f"{USERS}add/", f"{USERS}{colleague.pk}/change/"):
        assert "user_permissions" not in admin_client.get(page).content.decode()


def test_a_change_keeps_the_users_permissions(admin_client: Client) -> None:
    outside = User.objects.create_user("outside")
    save(admin_client, outside, email="out@example.com")
    outside.refresh_from_db()
    assert (outside.email, outside.is_staff) == ("out@example.com", False)


def test_users_are_listed_with_name_email_role_and_access(admin_client: Client) -> None:
    jo = User.objects.create_user("jo", "jo@example.com", first_name="Jo", last_name="Li", is_staff=True)
    jo.groups.add(*Group.objects.filter(name__in=["Operator", "Viewer"]))
    User.objects.create_user("tom", is_active=False)
    dora = User.objects.get(username="dora")
    page = admin_client.get(USERS).content.decode()
    rows = [re.sub(r"<[^>]+>", "|", row) for row in page.split("<tbody>")[1].split("</tr>")[:3]]
    assert [re.sub(r"[|\s]+", " ", row).strip() for row in rows] == [
        f"dora dora@example.com Superuser Active just now {exact(dora.last_login or dora.date_joined)}",
        "Jo Li jo jo@example.com Operator, Viewer Active Never",
        "tom None Inactive Never",
    ]


def test_the_number_of_queries_does_not_grow_with_the_users(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(USERS)
        return len(captured)

    queries()
    few = queries()
    for number in range(10):
        User.objects.create_user(f"user{number}").groups.set(Group.objects.all())
    assert queries() == few


class TestUserOfTheIdentityProvider:
    """The provider can lock them out, so there must be no other way to log in."""

    @pytest.mark.parametrize("who", ["admin_client", "administrator"])
    def test_cannot_be_given_a_password(self, who: str, from_provider: User, request: pytest.FixtureRequest) -> None:
        client = request.getfixturevalue(who)
        for response in (
            client.get(f"{USERS}{from_provider.pk}/password/"),
            client.post(f"{USERS}{from_provider.pk}/password/", NEW_PASSWORD),
        ):
            assert response.status_code == 403
            assert "This user logs in through your identity provider and has no password here." in response.text
            assert "Your role" not in response.text
        from_provider.refresh_from_db()
        assert not from_provider.has_usable_password()
        assert "../password/" not in client.get(f"{USERS}{from_provider.pk}/change/").content.decode()

    def test_cannot_log_in_with_a_password_that_was_set_anyway(self, from_provider: User, client: Client) -> None:
        from_provider.set_password(STAFF_PASSWORD)
        from_provider.save()
        client.post("/admin/login/", {"username": "petra", "password": STAFF_PASSWORD, "code": ""})
        assert "_auth_user_id" not in client.session


def test_users_cannot_be_deleted_because_their_records_must_stay(admin_client: Client, as_role: AsRole) -> None:
    as_role("Operator")
    user = User.objects.get(username="operator-ana")
    page = f"/admin/auth/user/{user.pk}"
    for client in (admin_client, as_role("Administrator")):
        assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
        assert 'value="delete_selected"' not in client.get("/admin/auth/user/").content.decode()
    assert User.objects.filter(pk=user.pk).exists()


class TestSessionsOfAColleague:
    def test_are_ended_by_an_administrator_and_that_is_recorded(self, as_role: AsRole) -> None:
        colleague, administrator = as_role("Operator"), as_role("Administrator")
        assert is_in(colleague)
        pk = User.objects.get(username="operator-ana").pk
        page = f"/admin/auth/user/{pk}/sessions/"
        assert page in administrator.get(f"/admin/auth/user/{pk}/change/").content.decode()
        assert "operator-ana" in administrator.get(page).content.decode()
        administrator.post(page, {"session": "all"})
        assert not is_in(colleague)
        assert "Ended sessions" in administrator.get(f"/admin/auth/user/{pk}/history/").content.decode()

    def test_are_not_ended_by_others(self, as_role: AsRole, admin_client: Client) -> None:
        assert is_in(admin_client)
        pk = User.objects.get(username="dora").pk
        page = f"/admin/auth/user/{pk}/sessions/"
        for role, status in (("Operator", 404), ("Viewer", 404), ("Administrator", 404)):
            response = as_role(role).post(page, {"session": "all"})
            assert response.status_code in {403, status}
        assert is_in(admin_client)
