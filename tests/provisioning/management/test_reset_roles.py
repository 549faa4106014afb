from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command

from provisioning import roles

pytestmark = pytest.mark.django_db


def reset(role: str) -> list[str]:
    out = StringIO()
    call_command("reset_roles", role, stdout=out)
    return out.getvalue().splitlines()


def rights(role: str) -> set[str]:
    permissions = Group.objects.get(name=role).permissions.select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in permissions}


def test_the_defaults_are_what_migrations_give() -> None:
    assert {role: rights(role) for role in roles.ALL} == roles.DEFAULTS


def test_roles_get_exactly_their_default_rights_again() -> None:
    Group.objects.get(name="Operator").permissions.clear()
    Group.objects.get(name="Viewer").permissions.add(Permission.objects.get(codename="erase_account"))
    Group.objects.get(name="Administrator").delete()
    own = Group.objects.create(name="Auditors")
    own.permissions.add(Permission.objects.get(codename="view_account"))

    assert reset("all") == [
        "Viewer: 0 rights added, 1 removed.",
        f"Operator: {len(roles.DEFAULTS['Operator'])} rights added, 0 removed.",
        f"Administrator: {len(roles.DEFAULTS['Administrator'])} rights added, 0 removed.",
    ]
    assert {role: rights(role) for role in roles.ALL} == roles.DEFAULTS
    assert rights("Auditors") == {"provisioning.view_account"}


def test_one_role_can_be_reset_and_its_members_stay() -> None:
    operators = Group.objects.get(name="Operator")
    olga = User.objects.create(username="olga", is_staff=True)
    olga.groups.add(operators)
    for name in ("Operator", "Viewer"):
        Group.objects.get(name=name).permissions.clear()

    reset("Operator")

    assert olga.has_perm("provisioning.retry_account")
    assert rights("Viewer") == set()


def test_an_unknown_role_changes_nothing() -> None:
    with pytest.raises(CommandError, match="Auditors"):
        reset("Auditors")
