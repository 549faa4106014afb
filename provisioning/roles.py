"""Permissions for the roles of staff, which migrations give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.migrations import RunPython

VIEWER, OPERATOR, ADMINISTRATOR = ALL = ("Viewer", "Operator", "Administrator")


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
