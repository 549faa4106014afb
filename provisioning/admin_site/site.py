"""The admin site: its name, its own pages, the context of every page, and the record of what staff do."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.urls.resolvers import URLPattern, URLResolver
from django.views.decorators.http import require_POST

from provisioning import gateway, search
from provisioning.admin_site.health import health
from provisioning.admin_site.identity import has_second_factor, is_from_identity_provider
from provisioning.admin_site.lookups import OfferedLookups
from provisioning.admin_site.navigation import NamedList, navigation
from provisioning.admin_site.overview import overview
from provisioning.admin_site.reauthentication import ChangePassword, confirm
from provisioning.admin_site.sessions import ask_to_reauthenticate, own_sessions
from provisioning.admin_site.steps import steps_for
from provisioning.admin_site.throttling import remember_browser
from provisioning.admin_site.two_factor import LogInForm, two_factor
from provisioning.models import Account, AuditEntry


def record(request: HttpRequest, row: Model | None, what: str, detail: str = "", note: str = "") -> None:
    """Record what the current staff member did: for accounts in the audit trail, for other rows in their history.

    A `row` of None means many accounts. A long `detail` is cut off. Only the note, which is erased with the account,
    may be personal.
    """
    if row is None or isinstance(row, Account):
        detail = detail[: AuditEntry._meta.get_field("detail").max_length]
        AuditEntry.objects.create(account=row, user_id=request.user.pk, what=what, detail=detail, note=note)
        return
    LogEntry.objects.log_actions(request.user.pk or 0, [row], CHANGE, what, single_object=True)


class Site(admin.AdminSite):
    site_header = "Constant Contact sign-up"
    site_title = "Constant Contact sign-up"
    index_title = "Overview"
    enable_nav_sidebar = False
    empty_value_display = ""
    login_form = LogInForm

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register a model. Its list has a name, and can be filtered only by the lookups that it offers."""
        base = admin_class or admin.ModelAdmin
        ours = (OfferedLookups, NamedList, base)
        full = type(base.__name__, ours, {"__module__": base.__module__, "__doc__": base.__doc__})
        super().register(model_or_iterable, full, **options)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request) | {"version": settings.VERSION}
        if not context["has_permission"]:
            return context
        context["navigation"] = list(navigation(request, context["available_apps"]))
        if pause := gateway.current_pause():
            context |= {"pause": pause, "may_resume": request.user.has_perm("provisioning.resume_gateway")}
        return context

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        if request.user.has_perm("provisioning.view_account"):
            shown = overview()
            tasks = [task.for_user(request.user) for task in shown.tasks]
            ours = {"overview": shown, "tasks": tasks, "steps": steps_for(request), "search_help": search.HELP}
            extra_context = ours | (extra_context or {})
        return super().index(request, extra_context)

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        """Answer nothing: no form uses it, and it would search all related rows."""
        raise Http404

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """List accounts first."""
        return sorted(super().get_app_list(request, app_label), key=lambda app: app["app_label"] != "provisioning")

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [
            path("resume/", self.admin_view(require_POST(self.resume)), name="provisioning_gateway_resume"),
            path("health/", self.admin_view(health), name="health"),
            path("two-factor/", self.admin_view(two_factor), name="two_factor"),
            path("confirm/", self.admin_view(confirm), name="confirm"),
            path("sessions/", self.admin_view(own_sessions), name="sessions"),
            *super().get_urls(),
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        has_mail_server = {"has_mail_server": bool(settings.EMAIL_URL)}
        response = super().login(request, has_mail_server | (extra_context or {}))
        if request.method == "POST" and request.user.is_authenticated and response.status_code == 302:
            remember_browser(response, request.user)
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        response = super().logout(request, {"navigation": (), "pause": None} | (extra_context or {}))
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if is_from_identity_provider(request.user):
            raise PermissionDenied(
                "You log in through your identity provider and have no password here. Change your password there."
            )
        if has_second_factor(request.user) and (asked := ask_to_reauthenticate(request)):
            return asked
        return ChangePassword.as_view(extra_context=self.each_context(request) | (extra_context or {}))(request)

    def resume(self, request: HttpRequest) -> HttpResponse:
        """Resume the gateway. Harmless if it isn't stopped."""
        if not request.user.has_perm("provisioning.resume_gateway"):
            raise PermissionDenied
        gateway.resume()
        record(request, gateway.state(), "Resumed")
        messages.success(request, "Sending resumed.")
        return redirect("admin:index")
