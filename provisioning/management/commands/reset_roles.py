"""`manage.py reset_roles`: give roles their default rights again."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from provisioning import roles

log = logging.getLogger(__name__)
PERMISSION = ("content_type__app_label", "codename")


class Command(BaseCommand):
    help = "Give roles exactly the permissions that they have in a new installation. A missing role is created again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", choices=(*roles.ALL, "all"))

    @transaction.atomic
    def handle(self, *, role: str, **options: Any) -> None:
        keys = {f"{app}.{codename}": key for app, codename, key in Permission.objects.values_list(*PERMISSION, "pk")}
        for name in roles.ALL if role == "all" else (role,):
            group, _made = Group.objects.get_or_create(name=name)
            before = {f"{app}.{codename}" for app, codename in group.permissions.values_list(*PERMISSION)}
            default = roles.DEFAULTS[name]
            group.permissions.set(keys[right] for right in default)
            added, removed = len(default - before), len(before - default)
            log.warning("role reset role=%s added=%s removed=%s by=command", name, added, removed)
            self.stdout.write(f"{name}: {added} rights added, {removed} removed.")
