"""The admin for staff's users. They are deactivated, never deleted: the audit trail refers to them."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    ReadOnlyPasswordHashField,
    ReadOnlyPasswordHashWidget,
    UserChangeForm,
    UserCreationForm,
)
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import CheckboxSelectMultiple
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.urls.resolvers import URLPattern
from django.utils.safestring import SafeString, mark_safe

from provisioning.admin.cells import badge, two_lines, when
from provisioning.admin.filters import titled
from provisioning.admin.model_admin import HistoryForViewers
from provisioning.admin.reauthentication import ReauthenticationRequired
from provisioning.admin.staff.permissions import may_manage, permissions_of
from provisioning.admin_site import ask_to_reauthenticate, is_from_identity_provider, record, show_sessions
from provisioning.templatetags.names import breakable

admin.site.unregister(User)


class PasswordStatus(ReadOnlyPasswordHashWidget):
    """Says that there is a password, and nothing of its hash."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        if any("value" in part for part in context["summary"]):
            context["summary"] = [{"label": "Set"}]
        return context


class StaffForm(UserChangeForm):  # type: ignore[type-arg]  # generic in the stubs only
    password = ReadOnlyPasswordHashField(label="Password", widget=PasswordStatus)

    class Meta(UserChangeForm.Meta):
        help_texts: ClassVar = {
            "is_active": "Clear this box when somebody leaves. It ends their sessions, and they can't log in again.",
            "is_superuser": "Superusers may do everything, without a role.",
        }


class NewStaffForm(UserCreationForm):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        require_password(self)


class PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Gives a colleague a password. To keep somebody out, make them inactive instead of taking it away."""

    def __init__(self, user: User, *args: Any, **named: Any) -> None:
        super().__init__(user, *args, **named)
        self.fields.pop("usable_password", None)
        require_password(self)


def require_password(form: forms.BaseForm) -> None:
    """Mark the two fields as required, as Django doesn't, with labels that fit on one line."""
    for name in ("password1", "password2"):
        form.fields[name].required = True
    form.fields["password2"].label = "Confirm password"


class RoleFilter(admin.RelatedFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title, self.empty_value_display = "role", mark_safe("No role")


@admin.register(User)
class StaffAdmin(HistoryForViewers, ReauthenticationRequired, UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Users. When somebody leaves, make them inactive."""

    form = StaffForm
    add_form = NewStaffForm
    change_password_form = PasswordForm
    change_user_password_template = "admin/password.html"  # noqa: S105
    list_display = ("name", "email", "role", "access", "seen")
    list_filter = (("is_active", titled("active", admin.BooleanFieldListFilter)), ("groups", RoleFilter))
    readonly_fields = ("seen", "date_joined")
    change_form_template = "admin/staff_user.html"
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("groups", "is_active", "is_superuser")}),
        ("Dates", {"fields": ("seen", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "password1", "password2")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("groups",)}),
    )

    @admin.display(description="Name", ordering="username")
    def name(self, user: User) -> SafeString:
        full, username = user.get_full_name(), breakable(user.get_username())
        return two_lines(full, username) if full else username

    @admin.display(description="Role")
    def role(self, user: User) -> str:
        groups = [group.name for group in user.groups.all()]
        return ", ".join(["Superuser"] if user.is_superuser else sorted(groups)) or "None"

    @admin.display(description="State", ordering="is_active")
    def access(self, user: User) -> SafeString:
        state, word = ("created", "Active") if user.is_active and user.is_staff else ("closed", "Inactive")
        return badge(state, word)

    @admin.display(description="Last login", ordering="last_login")
    def seen(self, user: User) -> SafeString | str:
        return when(user.last_login) if user.last_login else "Never"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users = super().get_queryset(request).prefetch_related("groups")
        return users if request.user.is_superuser else users.filter(is_superuser=False)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        hidden = set() if request.user.is_superuser else {"is_superuser"}
        if obj and is_from_identity_provider(obj):
            hidden.add("password")
        return [
            (title, options | {"fields": [field for field in options["fields"] if field not in hidden]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Let everybody who is added here log in to the admin, and end the sessions of users who become inactive.

        Otherwise, the sessions would go on once the user becomes active again.
        """
        obj.is_staff = obj.is_staff or not change
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            Session.objects.filter(staff_session__user=obj).delete()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.sessions)
        return [path("<int:pk>/sessions/", view, name="auth_user_sessions"), *super().get_urls()]

    def sessions(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show where a colleague is logged in, and end sessions."""
        if not self.has_change_permission(request):  # Before anything says whether there is such a user.
            raise PermissionDenied
        user = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        if request.method == "POST" and (asked := ask_to_reauthenticate(request)):
            return asked
        response = show_sessions(request, user)
        if request.method == "POST":
            record(request, user, "Ended sessions")
        return response

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer only groups whose permissions the current user has too."""
        if db_field.name == "groups" and not request.user.is_superuser:
            more = Permission.objects.exclude(pk__in=permissions_of(request.user))  # type: ignore[arg-type]
            options["queryset"] = Group.objects.exclude(permissions__in=more)
        if db_field.name == "groups":
            options |= {"widget": CheckboxSelectMultiple, "label": "Role", "help_text": ""}
        return super().formfield_for_manytomany(db_field, request, **options)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or may_manage(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        user = self.get_object(request, id)
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        if user and is_from_identity_provider(user):
            raise PermissionDenied(
                "This user logs in through your identity provider and has no password here. "
                "They can change their password there."
            )
        if asked := ask_to_reauthenticate(request):
            return asked
        response = super().user_change_password(request, id, form_url)
        if isinstance(response, TemplateResponse) and response.context_data:
            response.context_data["previous"] = reverse("admin:auth_user_change", args=[id])
        return response
