from django.contrib import admin

from provisioning.admin.readonly import ModelAdmin, ReadOnly
from provisioning.models import Gateway, Worker


@admin.register(Gateway)
class GatewayAdmin(ReadOnly, ModelAdmin):
    list_display = ("__str__", "calls", "day", "paused_until", "stopped_at", "stop_reason")
    fields = ("day", "calls", "next_call_at", "paused_until", "stopped_at", "stop_reason")


@admin.register(Worker)
class WorkerAdmin(ReadOnly, ModelAdmin):
    list_display = ("name", "started_at", "seen_at")
    fields = ("name", "started_at", "seen_at")
