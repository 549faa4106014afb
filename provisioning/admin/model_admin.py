"""The base class of admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

if TYPE_CHECKING:
    DjangoModelAdmin = admin.ModelAdmin[Any]
else:
    DjangoModelAdmin = admin.ModelAdmin


class HistoryForViewers:
    """Mixin for admins: only staff who may view rows see a history. Django's would tell others which rows exist."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        if not self.has_view_or_change_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)  # type: ignore[misc]


class ModelAdmin(HistoryForViewers, DjangoModelAdmin):
    """The base class of admins, except those that extend one of Django's own."""
