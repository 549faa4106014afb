"""Mixins for admins whose rows are evidence and are never edited."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class ReadOnly:
    """Mixin for admins: rows can be viewed, and nothing else."""

    view_permission = ""
    """The permission to view them; empty for the model's own."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if self.view_permission:
            return request.user.has_perm(self.view_permission)
        may: bool = super().has_view_permission(request, obj)  # type: ignore[misc]  # of the admin
        return may

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether staff may see anything of the app. Django asks only for permissions on its own models."""
        if self.view_permission:
            return self.has_view_permission(request)
        may: bool = super().has_module_permission(request)  # type: ignore[misc]
        return may

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SingleRow(ReadOnly):
    """The same for a table with at most one row, which is shown instead of a list."""

    change_form_template: Any = "admin/one_row.html"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        row = self.get_queryset(request).first() if self.has_view_permission(request) else None  # type: ignore[attr-defined]
        if row:
            return self.change_view(request, str(row.pk))  # type: ignore[attr-defined]
        return super().changelist_view(request, extra_context)  # type: ignore[misc]


class CustomerDataReadOnly(ReadOnly):
    """The same for rows that name customers: only staff who may view accounts can view them."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and request.user.has_perm("provisioning.view_account")
