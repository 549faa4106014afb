"""Admins for background work: the gateway, the workers, and the partner's account list at Constant Contact."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from provisioning.admin.readonly import ModelAdmin, ReadOnly
from provisioning.models import Gateway, ListEntry, ListPass, Worker


@admin.register(Gateway)
class GatewayAdmin(ReadOnly, ModelAdmin):
    list_display = ("__str__", "calls", "day", "paused_until", "stopped_at", "stop_reason")
    fields = (
        "day",
        "calls",
        "pages",
        "next_call_at",
        "paused_until",
        "outages",
        "stopped_at",
        "stop_reason",
        "list_names",
    )


@admin.register(Worker)
class WorkerAdmin(ReadOnly, ModelAdmin):
    list_display = ("name", "started_at", "seen_at")
    fields = ("name", "started_at", "seen_at")


class MirrorAdmin(ReadOnly, ModelAdmin):
    """Base for the mirror's admins, which everyone who may view the gateway may view."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("provisioning.view_gateway")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


@admin.register(ListPass)
class ListPassAdmin(MirrorAdmin):
    list_display = ("started_at", "ended_at", "outcome", "pages", "entries", "skipped", "problem")
    fields = ("started_at", "ended_at", "outcome", "pages", "entries", "skipped", "failures", "problem", "due_at")


@admin.register(ListEntry)
class ListEntryAdmin(MirrorAdmin):
    list_display = ("account_id", "username", "organization_name", "status", "first_seen_at", "last_seen_at")
    fields = list_display
    search_fields = ("=account_id", "username_key__startswith", "organization_key__startswith")
