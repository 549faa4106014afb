"""The admin for emails to customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from provisioning.admin.readonly import ModelAdmin, ReadOnly
from signup.brand.admin import BrandAdmin as BrandAdmin
from signup.models import Mail

if TYPE_CHECKING:
    from provisioning.rules.rule import Text


@admin.register(Mail)
class MailAdmin(ReadOnly, ModelAdmin):
    list_display = ("account", "event", "outcome", "tries", "sent_at", "due_at", "problem")
    list_filter = ("event", "problem")
    list_select_related = ("account",)
    ordering = ("-pk",)
    fields = list_display

    @admin.display(description="outcome")
    def outcome(self, mail: Mail) -> Text:
        if mail.sent_at:
            return "Sent"
        if mail.due_at:
            return "Scheduled"
        return "May not have been sent" if mail.tries else "Not needed yet"
