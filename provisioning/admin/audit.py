"""The audit trail of all accounts: who did what, and what it changed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.urls.resolvers import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localdate, localtime

from provisioning.admin import cells
from provisioning.admin.exports import as_csv, in_chunks
from provisioning.admin.filters import titled
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.pages import require_permissions
from provisioning.admin.readonly import ReadOnly
from provisioning.admin.timeline import describe_changes
from provisioning.admin_site import record
from provisioning.models import AuditEntry
from provisioning.templatetags.names import breakable

HEADER = ("time", "reference", "account", "who", "what", "detail", "note", "changes")


@admin.register(AuditEntry)
class AuditAdmin(ReadOnly, ModelAdmin):
    """The audit trail, for everyone who may view accounts."""

    view_permission = "provisioning.view_account"
    list_display = ("when", "what", "who", "subject", "more")
    list_display_links = None
    nothing_yet = "Nothing has been recorded yet. What staff and customers do to an account appears here."
    list_filter = (
        ("at", titled("time", admin.DateFieldListFilter)),
        ("what", titled("what", admin.AllValuesFieldListFilter)),
        ("user", titled("who", admin.RelatedOnlyFieldListFilter)),
    )
    list_select_related = ("account", "user")
    search_fields = ("account__username__startswith", "account__email__startswith", "=account__reference")
    search_help_text = "Enter the beginning of a username or email address, or a whole reference."
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = readonly_fields = ("when", "what", "who", "subject", "more")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export)
        return [path("export.csv", view, name="provisioning_auditentry_export"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        context = {"may_export": request.user.has_perm("provisioning.export_account")}
        return super().changelist_view(request, context | (extra_context or {}))

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Export all pages of the list as CSV, filtered by the same query string."""
        require_permissions(request, "provisioning.export_account")
        try:
            entries = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return redirect("admin:provisioning_auditentry_changelist")
        record(request, None, "Audit trail exported")
        return StreamingHttpResponse(
            as_csv(map(_row, in_chunks(entries, _read)), HEADER),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="audit-{localdate()}.csv"'},
        )

    @admin.display(description="Time", ordering="at")
    def when(self, entry: AuditEntry) -> SafeString:
        return cells.when(entry.at)

    @admin.display(description="Who")
    def who(self, entry: AuditEntry) -> str:
        return entry.who

    @admin.display(description="Account")
    def subject(self, entry: AuditEntry) -> SafeString | str:
        if not entry.account:
            return "Many accounts"
        url = reverse("admin:provisioning_account_change", args=[entry.account.pk])
        return format_html('<a href="{}">{}</a>', url, breakable(str(entry.account)))

    @admin.display(description="What changed")
    def more(self, entry: AuditEntry) -> SafeString:
        lines = [words for words in (entry.note, entry.detail) if words]
        return format_html_join("", "<div>{}</div>", ((line,) for line in [*lines, *describe_changes(entry)]))


def _row(entry: AuditEntry) -> tuple[Any, ...]:
    at = localtime(entry.at).isoformat(timespec="seconds")
    reference = entry.account and entry.account.reference
    changes = "; ".join(describe_changes(entry))
    return at, reference, entry.account, entry.who, entry.what, entry.detail, entry.note, changes


def _read(keys: list[int]) -> dict[int, AuditEntry]:
    return AuditEntry.objects.select_related("account", "user").in_bulk(keys)
