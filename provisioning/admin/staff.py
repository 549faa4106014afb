"""Who works at the desk. Nobody is deleted: what staff did to accounts is evidence, and would go with them."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest

admin.site.unregister(User)


@admin.register(User)
class StaffAdmin(UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Who leaves is made inactive."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
