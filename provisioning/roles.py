"""The roles of staff and their rights: as migrations gave them, and as they are by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.migrations import RunPython

VIEWER, OPERATOR, ADMINISTRATOR = ALL = ("Viewer", "Operator", "Administrator")

_VIEW = {
    "provisioning.view_account",
    "provisioning.view_attempt",
    "provisioning.view_delivery",
    "provisioning.view_endpoint",
    "provisioning.view_gateway",
    "provisioning.view_worker",
    "signup.view_mail",
}
_OPERATE = {
    "provisioning.approve_account",
    "provisioning.assign_account",
    "provisioning.close_account",
    "provisioning.correct_account",
    "provisioning.decline_account",
    "provisioning.export_account",
    "provisioning.look_up_account",
    "provisioning.note_account",
    "provisioning.replay_delivery",
    "provisioning.resume_gateway",
    "provisioning.retry_account",
}
_ADMINISTER = {
    "auth.add_user",
    "auth.change_user",
    "auth.delete_user",
    "auth.view_group",
    "auth.view_user",
    "otp_totp.delete_totpdevice",
    "otp_totp.view_totpdevice",
    "provisioning.add_endpoint",
    "provisioning.add_noticerule",
    "provisioning.change_endpoint",
    "provisioning.change_noticerule",
    "provisioning.delete_endpoint",
    "provisioning.delete_noticerule",
    "provisioning.erase_account",
    "provisioning.reveal_oauth2_token",
    "provisioning.reveal_secret_endpoint",
    "provisioning.view_noticerule",
    "provisioning.wipe_oauth2_token",
    "signup.add_apikey",
    "signup.add_brand",
    "signup.add_legaltext",
    "signup.change_apikey",
    "signup.change_brand",
    "signup.change_legaltext",
    "signup.delete_brand",
    "signup.delete_legaltext",
    "signup.view_apikey",
    "signup.view_brand",
    "signup.view_legaltext",
}
DEFAULTS = {VIEWER: _VIEW, OPERATOR: _VIEW | _OPERATE, ADMINISTRATOR: _VIEW | _OPERATE | _ADMINISTER}
"""The rights that a role has after all migrations. `manage.py reset_roles` gives it these again."""


def grant(model: str, permissions: Mapping[str, str], roles: tuple[str, ...]) -> RunPython:
    """Return a migration's operation that gives these roles permissions on a model, by its label in lowercase.

    `permissions` maps each codename to its name. The migration must depend on `auth` and `contenttypes`. Released
    migrations use this function, so what it does must stay the same.
    """
    app_label, _dot, name = model.partition(".")

    def give(apps: Any, schema_editor: Any) -> None:
        # Django creates permissions only after all migrations.
        kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(app_label=app_label, model=name)
        groups = list(apps.get_model("auth", "Group").objects.filter(name__in=roles))
        for codename, label in permissions.items():
            permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
                content_type=kind, codename=codename, defaults={"name": label}
            )
            for group in groups:
                group.permissions.add(permission)

    return RunPython(give, RunPython.noop)
