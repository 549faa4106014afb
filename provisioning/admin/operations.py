"""Admins for background work: the gateway, the workers, and the partner's account list at Constant Contact."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import floatformat, pluralize
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from provisioning.admin import cells
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.readonly import CustomerDataReadOnly, ReadOnly, SingleRow
from provisioning.gateway import calls_today, current_pause, pages_today
from provisioning.models import Gateway, ListEntry, ListPass, Worker
from provisioning.templatetags.times import exact, until


@admin.register(Gateway)
class GatewayAdmin(SingleRow, ModelAdmin):
    fields = ("state", "calls_today", "pages_today", "next_call", "pauses", "names_listed")

    @admin.display(description="State")
    def state(self, gateway: Gateway) -> SafeString:
        pause = current_pause()
        if pause is None:
            return cells.badge("created", "Running")
        if pause.until:
            return cells.badge("held", "Paused", f"until {exact(pause.until)}: {pause.reason}")
        since = f"since {exact(gateway.stopped_at)}: " if gateway.stopped_at else ""
        return cells.badge("rejected", "Stopped", f"{since}{pause.reason}")

    @admin.display(description="Calls today (UTC)")
    def calls_today(self, gateway: Gateway) -> str:
        return f"{floatformat(calls_today(), '0g')} of {floatformat(settings.CONSTANT_CONTACT_DAILY_QUOTA, '0g')}"

    @admin.display(description="Of these, pages of your account list")
    def pages_today(self, gateway: Gateway) -> str:
        return str(floatformat(pages_today(), "0g"))

    @admin.display(description="Next call at the earliest")
    def next_call(self, gateway: Gateway) -> str:
        return "Once sending resumes" if current_pause() else until(gateway.next_call_at)

    @admin.display(description="Consecutive pauses without a clear answer")
    def pauses(self, gateway: Gateway) -> int:
        return gateway.outages

    @admin.display(description="Names in your account list")
    def names_listed(self, gateway: Gateway) -> str:
        if settings.CONSTANT_CONTACT_API == "v2":
            return str(Gateway.ListNames.USERNAME.label)
        return gateway.get_list_names_display() or "Not known yet"


@admin.register(Worker)
class WorkerAdmin(ReadOnly, ModelAdmin):
    list_display = fields = ("name", "condition", "started", "seen", "version", "problem")
    nothing_yet = "No worker is running, so nothing is sent. Ask whoever runs this installation to start one."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        workers: QuerySet[Worker] = super().get_queryset(request)
        return workers.annotate(is_alive=Exists(Worker.objects.alive().filter(pk=OuterRef("pk"))))

    @admin.display(description="State")
    def condition(self, worker: Any) -> SafeString:
        if not worker.is_alive:
            return cells.badge("closed", "Gone")
        return cells.badge("rejected", "Blocked") if worker.problem else cells.badge("created", "Running")

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
    fields = ("when", "ended", "result", "read", "failures", "problem", "next_page")

    @admin.display(description="Started", ordering="started_at")
    def when(self, each: ListPass) -> SafeString:
        return cells.when(each.started_at)

    @admin.display(description="Ended")
    def ended(self, each: ListPass) -> SafeString | str:
        return cells.when(each.ended_at) if each.ended_at else ""

    @admin.display(description="Next page")
    def next_page(self, each: ListPass) -> str:
        return until(each.due_at) if each.due_at else ""

    @admin.display(description="State", ordering="outcome")
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
class ListEntryAdmin(CustomerDataReadOnly, ModelAdmin):
    view_permission = "provisioning.view_gateway"
    list_display = fields = ("listed_id", "username", "organization", "status_there", "since", "seen")
    nothing_yet = "Your list at Constant Contact has not been read yet. A worker reads it regularly."
    search_fields = ("=account_id", "username_key__startswith", "organization_key__startswith")

    @admin.display(description="Account ID", ordering="account_id")
    def listed_id(self, entry: ListEntry) -> str:
        return entry.account_id

    @admin.display(description="Organization", ordering="organization_name")
    def organization(self, entry: ListEntry) -> str:
        return entry.organization_name

    @admin.display(description="Status there", ordering="status")
    def status_there(self, entry: ListEntry) -> str:
        return capfirst(entry.status.replace("_", " ").lower())

    @admin.display(description="First seen", ordering="first_seen_at")
    def since(self, entry: ListEntry) -> SafeString:
        return cells.when(entry.first_seen_at)

    @admin.display(description="Last seen", ordering="last_seen_at")
    def seen(self, entry: ListEntry) -> SafeString:
        return cells.when(entry.last_seen_at)
