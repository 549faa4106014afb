"""Admins for background work: the gateway, the workers, and the partner's account list at Constant Contact."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import floatformat, pluralize
from django.utils.safestring import SafeString

from provisioning.admin import cells
from provisioning.admin.readonly import ModelAdmin, OfCustomers, OneRow, ReadOnly
from provisioning.models import Gateway, ListEntry, ListPass, Worker
from provisioning.templatetags.times import ago


@admin.register(Gateway)
class GatewayAdmin(OneRow, ModelAdmin):
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
    list_display = fields = ("name", "condition", "started", "seen", "problem")
    nothing_yet = "No worker is running, so nothing is sent. Ask whoever runs this installation to start one."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        workers: QuerySet[Worker] = super().get_queryset(request)
        return workers.annotate(is_alive=Exists(Worker.objects.alive().filter(pk=OuterRef("pk"))))

    @admin.display(description="State")
    def condition(self, worker: Any) -> SafeString:
        return cells.badge("created", "Running") if worker.is_alive else cells.badge("closed", "Gone")

    @admin.display(description="Started", ordering="started_at")
    def started(self, worker: Worker) -> SafeString:
        return cells.when(worker.started_at)

    @admin.display(description="Last seen", ordering="seen_at")
    def seen(self, worker: Worker) -> SafeString:
        return cells.when(worker.seen_at)


@admin.register(ListPass)
class ListPassAdmin(ReadOnly, ModelAdmin):
    view_permission = "provisioning.view_gateway"
    list_display = ("when", "result", "read", "problem")
    nothing_yet = "Your list at Constant Contact has not been read yet. A worker reads it regularly."
    fields = ("started_at", "ended_at", "outcome", "pages", "entries", "skipped", "failures", "problem", "due_at")

    @admin.display(description="Started", ordering="started_at")
    def when(self, each: ListPass) -> SafeString:
        return cells.when(each.started_at)

    @admin.display(description="Result", ordering="outcome")
    def result(self, each: ListPass) -> SafeString:
        colors: dict[str, str] = {ListPass.Outcome.COMPLETE: "created", ListPass.Outcome.FAILED: "rejected"}
        words = each.get_outcome_display() or "In progress"
        return cells.badge(colors.get(each.outcome, "sending"), words)

    @admin.display(description="Read")
    def read(self, each: ListPass) -> str:
        accounts, pages = (floatformat(number, "0g") for number in (each.entries, each.pages))
        skipped = f", {each.skipped} skipped" if each.skipped else ""
        return f"{accounts} account{pluralize(each.entries)} on {pages} page{pluralize(each.pages)}{skipped}"


@admin.register(ListEntry)
class ListEntryAdmin(OfCustomers, ModelAdmin):
    view_permission = "provisioning.view_gateway"
    list_display = ("account_id", "username", "organization_name", "status", "since", "seen")
    nothing_yet = "Your list at Constant Contact has not been read yet. A worker reads it regularly."
    fields = ("account_id", "username", "organization_name", "status", "first_seen_at", "last_seen_at")
    search_fields = ("=account_id", "username_key__startswith", "organization_key__startswith")

    @admin.display(description="First seen", ordering="first_seen_at")
    def since(self, entry: ListEntry) -> str:
        return ago(entry.first_seen_at)

    @admin.display(description="Last seen", ordering="last_seen_at")
    def seen(self, entry: ListEntry) -> str:
        return ago(entry.last_seen_at)
