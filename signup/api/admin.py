"""The admin for API keys. Administrators create and revoke them, after they confirm that it's them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.urls.resolvers import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.debug import sensitive_variables

from provisioning.admin import cells
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.reauthentication import ReauthenticationRequired
from provisioning.admin_site import ask_to_reauthenticate, record
from provisioning.audit import name_of
from provisioning.templatetags.times import exact
from signup.api import keys
from signup.api.models import ApiKey, Scope
from signup.api.operations import VERBS

NEEDED = {
    Scope.CREATE: (),
    Scope.READ: ("provisioning.view_account", "provisioning.export_account"),
    Scope.CORRECT: ("provisioning.view_account", "provisioning.correct_account"),
    Scope.STAFF: ("provisioning.view_account", *(action.permission for action in VERBS.values())),
}
"""Scope → the permissions that staff need for a key with it: nobody creates or changes a key that may do more than they
may.

A key that lists sign-ups is an export of all of them, so it needs that permission too.
"""
COLORS = {"active": "created", "expired": "held", "revoked": "closed"}


class KeyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    creator: ClassVar[Any]
    """The staff member who creates the key; `for_creator` sets it."""
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="What the key may do. Choose only what your system needs. The key is shown once, when you save.",
    )

    @classmethod
    def for_creator(cls, creator: Any) -> type[KeyForm]:
        return type("KeyForm", (cls,), {"creator": creator})

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        offered: Any = self.fields["scopes"]
        offered.choices = [(scope, label) for scope, label in Scope.choices if _has_all_of(self.creator, [scope])]


def _has_all_of(user: Any, scopes: Iterable[str]) -> bool:
    """Whether a user may do all that these scopes allow."""
    return all(scope in NEEDED and user.has_perms(NEEDED[Scope(scope)]) for scope in scopes)


class ExpiryField(forms.DateTimeField):
    """When a key expires. Databases and time zones don't hold every year."""

    def clean(self, value: Any) -> datetime | None:
        at: datetime | None = super().clean(value)
        if at and not 2000 <= at.year < 3000:
            raise ValidationError("Enter a year from 2000 to 2999, or leave this empty.", code="year")
        return at


@admin.register(ApiKey)
class ApiKeyAdmin(ReauthenticationRequired, ModelAdmin):
    """API keys. What a key may do never changes: create another one instead, and revoke the old one."""

    form = KeyForm
    list_display = ("name", "begins_with", "status", "may", "sees", "used", "until")
    nothing_yet = "None of your systems can use the API yet. Add a key for the first one."
    list_select_related = ("brand", "created_by")
    change_form_template = "admin/signup/apikey/change_form.html"
    # One field with a label. Django's own has two without.
    formfield_overrides = {
        models.DateTimeField: {
            "form_class": ExpiryField,
            "widget": forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        }
    }
    fields = ("name", "scopes", "brand", "networks", "expires_at")
    shown = ("name", "status", "begins_with", "scopes_in_words", "sees", "networks", "expires_at", "created", "used")
    """The fields of a key that exists."""

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.shown if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return [name for name in self.shown if name not in {"name", "networks", "expires_at"}] if obj else []

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **options: Any) -> Any:
        form = forms.ModelForm if obj else KeyForm.for_creator(request.user)
        return super().get_form(request, obj, change, **{"form": form} | options)

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **options: Any) -> Any:
        """Offer the brands without a button to add one."""
        return (
            db_field.formfield(empty_label="All brands", **options) if isinstance(db_field, models.ForeignKey) else None
        )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether staff may change a key: also who may use it, and until when. All of them may revoke it."""
        may = obj is None or (not obj.revoked_at and _has_all_of(request.user, obj.scopes))
        return may and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=form.changed_data)  # A colleague may have revoked it meanwhile.
        else:
            obj.created_by_id = request.user.pk
            request.new_api_token = keys.create(obj)  # type: ignore[attr-defined]  # for `response_add`

    @sensitive_variables()
    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the whole key. This is the only time."""
        token = request.new_api_token  # type: ignore[attr-defined]
        return self._page(request, obj, "created", f"API key {obj.name}", token=token)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *rest: Any, **named: Any) -> Any:
        key: ApiKey | None = named.get("obj")
        context["may_revoke"] = key and not key.revoked_at and super().has_change_permission(request)
        return super().render_change_form(request, context, *rest, **named)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revoke)
        return [path("<int:pk>/revoke/", view, name="signup_apikey_revoke"), *super().get_urls()]

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask first, then end the key."""
        if not super().has_change_permission(request):
            raise PermissionDenied
        key = get_object_or_404(ApiKey, pk=pk)
        if asked := ask_to_reauthenticate(request):
            return asked
        if request.method != "POST":
            return self._page(request, key, "revoke", f"Revoke API key {key.name}?")
        if keys.revoke(key):
            record(request, key, "Revoked")
            messages.success(request, f"{key} was revoked. Requests with it are refused from now on.")
        return redirect("admin:signup_apikey_changelist")

    def _page(self, request: HttpRequest, key: ApiKey, template: str, title: str, **more: Any) -> HttpResponse:
        context = {"opts": self.opts, "original": key, "title": title}
        return TemplateResponse(
            request, f"admin/signup/apikey/{template}.html", self.admin_site.each_context(request) | context | more
        )

    @admin.display(description="Begins with")
    def begins_with(self, key: ApiKey) -> SafeString:
        return format_html("<code>{}…</code>", key.prefix)

    @admin.display(description="State")
    def status(self, key: ApiKey) -> SafeString:
        left = f"created by {key.created_by}, who has left" if key.creator_has_left and key.state == "active" else ""
        return cells.badge(COLORS[key.state], key.state.capitalize(), left)

    @admin.display(description="Scopes")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="Scopes")
    def scopes_in_words(self, key: ApiKey) -> SafeString:
        return format_html_join(mark_safe("<br>"), "{}", ((Scope(scope).label,) for scope in key.scopes))

    @admin.display(description="Brand", ordering="brand")
    def sees(self, key: ApiKey) -> str:
        return str(key.brand or "All brands")

    @admin.display(description="Expires", ordering="expires_at")
    def until(self, key: ApiKey) -> str:
        return exact(key.expires_at) if key.expires_at else "Never"

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> SafeString | str:
        if not key.last_used_at:
            return "Never"
        return cells.when(key.last_used_at)

    @admin.display(description="Created")
    def created(self, key: ApiKey) -> str:
        who = name_of(key.created_by) if key.created_by else "the command line"
        return f"{exact(key.created_at)} by {who}{', who has left' if key.creator_has_left else ''}"
