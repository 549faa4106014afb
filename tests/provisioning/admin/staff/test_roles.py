"""What a role's form offers, and who may change a role."""

import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

pytestmark = pytest.mark.once

GROUPS = "/admin/auth/group/"


def test_an_administrator_cannot_change_groups_whatever_the_permissions(administrator: Client) -> None:
    group = Group.objects.get(name="Administrator")
    for verb in ("add", "change", "delete"):
        group.permissions.add(Permission.objects.get(codename=f"{verb}_group"))
    everything = [permission.pk for permission in Permission.objects.all()]
    change = f"{GROUPS}{group.pk}/change/"
    assert administrator.post(change, {"name": group.name, "permissions": everything}).status_code == 403
    assert administrator.post(f"{GROUPS}add/", {"name": "More", "permissions": everything}).status_code == 403
    assert administrator.post(f"{GROUPS}{group.pk}/delete/", {"post": "yes"}).status_code == 403
    assert group.permissions.count() < len(everything)
    assert administrator.get(change).status_code == 200


def test_a_role_offers_permissions_for_pages_of_the_admin_only(admin_client: Client) -> None:
    page = admin_client.get(f"{GROUPS}add/").content.decode()

    assert "Can retry accounts" in page
    assert "access attempt" not in page
    assert "Authenticator apps" in page
    assert not re.search("Can (add|change|delete) (account|worker|audit)|Can view totpdevice", page)
    assert "content type" not in page


@pytest.mark.parametrize("model", ["incident", "auditentry", "diagnosis", "listpass", "listentry"])
def test_a_role_offers_no_permission_that_does_nothing(admin_client: Client, model: str) -> None:
    """Other permissions let staff see these pages."""
    offered = admin_client.get(f"{GROUPS}add/").context["adminform"].form.fields["permissions"].queryset
    assert not offered.filter(codename=f"view_{model}").exists()
    assert offered.filter(codename="view_gateway").exists()


def test_saving_a_role_keeps_permissions_that_its_form_does_not_offer(admin_client: Client) -> None:
    role = Group.objects.get(name="Viewer")
    role.permissions.add(Permission.objects.get(codename="delete_session"))

    admin_client.post(f"{GROUPS}{role.pk}/change/", {"name": role.name, "permissions": []})

    assert {each.codename for each in role.permissions.all()} == {"delete_session", "view_attempt"}


def test_deleting_a_role_says_how_many_users_have_it(admin_client: Client, colleague: User) -> None:
    role = Group.objects.get(name="Operator")
    colleague.groups.set([role])

    page = admin_client.get(f"{GROUPS}{role.pk}/delete/").content.decode()

    assert "1 user has this role, and will lose what it allows. No user is deleted." in page
    assert "Delete role</button>" in page
    admin_client.post(f"{GROUPS}{role.pk}/delete/", {"post": "yes"})
    assert not Group.objects.filter(name="Operator").exists()


def test_the_permissions_of_a_role_are_grouped_by_what_they_are_about(admin_client: Client) -> None:
    groups = admin_client.get(f"{GROUPS}add/").context["adminform"].form.fields["permissions"].choices

    names = [name for name, _permissions in groups]
    assert "Accounts" in names
    assert names == sorted(set(names))
    assert [str(label) for _value, label in dict(groups)["Brands"]] == [
        "Can view",
        "Can add",
        "Can change",
        "Can delete",
    ]
    assert "Can retry accounts" in str(dict(groups)["Accounts"])
