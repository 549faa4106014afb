"""The sign-up page's additions to the admin: emails to customers, a preview of the customer's page, API keys."""

from __future__ import annotations

from collections import Counter
from typing import Any

from csp.decorators import csp_replace
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.urls.resolvers import URLPattern
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from provisioning.admin import AccountAdmin, cells
from provisioning.admin.exports import ExtraColumns
from provisioning.admin.filters import BrandFilter, titled
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.pages import render_page, require_permissions
from provisioning.admin.readonly import CustomerDataReadOnly, SingleRow
from provisioning.admin.timeline import TimelineEntry
from provisioning.admin_site import record
from provisioning.models import Account
from provisioning.templatetags.times import ago, exact, until
from signup import emails, views
from signup.api.admin import ApiKeyAdmin as ApiKeyAdmin
from signup.brand.admin import BrandAdmin as BrandAdmin
from signup.brand.models import brand_at
from signup.doctor import Level
from signup.legal import admin as legal
from signup.models import Diagnosis, Mail, SentMail


class NamedBrandFilter(BrandFilter):
    """Brands, by name; host names tell apart those with the same name."""

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        hosts = [host for host, _name in super().lookups(request, model_admin)]
        names = {host: brand_at(host).name or host for host in hosts}
        times = Counter(names.values())
        named = ((host, name if times[name] == 1 else f"{name} ({host})") for host, name in names.items())
        return sorted(named, key=lambda choice: choice[1])


@admin.register(Account)
class CustomerAdmin(AccountAdmin):
    """Accounts, with their customers' page and emails."""

    list_filter = (
        *(NamedBrandFilter if each is BrandFilter else each for each in AccountAdmin.list_filter),
        legal.MarketingFilter,
        legal.AcceptedFilter,
    )
    extra_columns = ExtraColumns({"agreements": "Accepted legal texts", "marketing": "Your marketing"}, legal.exported)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/customer/", view(self.preview), name="provisioning_account_customer"),
            path("<int:pk>/link/", view(self.link), name="provisioning_account_link"),
            path("<int:pk>/email/", view(self.send_email), name="provisioning_account_email"),
            *super().get_urls(),
        ]

    def get_timeline(self, account: Account) -> list[TimelineEntry]:
        sent = [_timeline_entry(email) for email in account.sent_emails.all()]
        entries = [*super().get_timeline(account), *legal.timeline_entries(account), *sent]
        return sorted(entries, key=lambda entry: entry.at)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *rest: Any, **named: Any) -> Any:
        account: Account = named["obj"]
        context |= {
            "agreements": account.agreements.select_related("text").defer("text__text"),
            "planned": Mail.objects.filter(account=account, due_at__isnull=False).first(),
            "may_email": request.user.has_perm("provisioning.correct_account"),
            "has_email": bool(emails.event_of(account)) and Mail.objects.filter(account=account).exists(),
        }
        return super().render_change_form(request, context, *rest, **named)

    # Nobody should correct or change anything from a preview.
    @method_decorator([require_safe, csp_replace({"form-action": ["'none'"]})])
    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the customer's page as the customer sees it: in their language, with their brand."""
        require_permissions(request)
        account = get_object_or_404(Account, pk=pk)
        context = {"brand": brand_at(account.host), "by_staff": account}
        with translation.override(account.language or "en"):
            return views.progress_page(request, account, views.correction(request, account), context)

    @method_decorator(require_POST)
    def link(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show a link to the customer's page, and record it: whoever has the link can correct the sign-up."""
        require_permissions(request, "provisioning.correct_account")
        account = get_object_or_404(Account, pk=pk)
        record(request, account, "Link to the customer's page shown")
        email = Mail.objects.filter(account=account).first()
        link = emails.link_to(account, email.origin if email else emails.origin(request))
        return render_page(request, "link", account, title="Link to the customer's page", link=link)

    @method_decorator(require_POST)
    def send_email(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send the email about the account's state again."""
        require_permissions(request, "provisioning.correct_account")
        account = get_object_or_404(Account, pk=pk)
        if not emails.event_of(account) or not Mail.objects.filter(account=account).exists():
            messages.warning(request, "No email was sent: there is nothing to tell the customer now.")
        elif problem := emails.send_now(account):
            messages.error(request, f"The email to {account.email} may not have been sent: {problem}.")
        else:
            record(request, account, "Email sent again")
            messages.success(request, f"The email was sent to {account.email}.")
        return redirect("admin:provisioning_account_change", pk)


def _timeline_entry(email: SentMail) -> TimelineEntry:
    if email.problem:
        return TimelineEntry(
            email.at, f'Email "{email.get_event_display()}" may not have been sent.', "bad", facts=email.problem
        )
    return TimelineEntry(email.at, f'Email "{email.get_event_display()}" was sent.')


@admin.register(Mail)
class MailAdmin(CustomerDataReadOnly, ModelAdmin):
    """Emails to customers: the next one to each, or the last one."""

    list_display = ("account", "email", "result")
    nothing_yet = "No email to a customer has been planned or sent yet."
    list_filter = (
        ("event", titled("email", admin.ChoicesFieldListFilter)),
        ("problem", titled("problem", admin.AllValuesFieldListFilter)),
    )
    list_select_related = ("account",)
    ordering = ("-pk",)
    fields = ("account", "email", "result", "tries")

    @admin.display(description="Email", ordering="event")
    def email(self, mail: Mail) -> str:
        return str(mail.get_event_display())

    @admin.display(description="State")
    def result(self, email: Mail) -> SafeString:
        """Say whether and when it was or will be sent, and what went wrong."""
        color, what, when = "closed", "Not needed yet", ""
        if email.due_at:
            color, what, when = "queued", "Scheduled", until(email.due_at)
        elif email.sent_at:
            color, what, when = "created", "Sent", f"{ago(email.sent_at)} ({exact(email.sent_at)})"
        elif email.tries:
            color, what = "rejected", "May not have been sent"
        return cells.badge(color, what, " · ".join(filter(None, (when, email.problem))))


@admin.register(Diagnosis)
class DiagnosisAdmin(SingleRow, ModelAdmin):
    """The last result of the doctor, for administrators."""

    view_permission = "auth.add_user"  # Which only administrators have.
    nothing_yet = "This installation has not been checked yet. Whoever runs it can check it with: manage.py doctor"
    fields = readonly_fields = ("when", "found")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        context = {"subtitle": "Installation check"} | (extra_context or {})
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="Checked")
    def when(self, diagnosis: Diagnosis) -> SafeString:
        return cells.when(diagnosis.at)

    @admin.display(description="Findings")
    def found(self, diagnosis: Diagnosis) -> SafeString:
        shown: dict[str, tuple[str, str]] = {Level.FAILURE: ("rejected", "Failure"), Level.WARNING: ("held", "Warning")}
        rows = (
            (
                *shown.get(each["level"], ("created", "OK")),
                each["subject"],
                each["text"],
                each["fix"],
            )
            for each in diagnosis.findings
        )
        row = '<li><span class="state {}">{}</span> <strong>{}</strong>: {} <small>{}</small></li>'
        return format_html('<ul class="findings">{}</ul>', format_html_join("", row, rows))
