"""Admins for staff's users. Users are deactivated, never deleted: the audit trail refers to them.

Administrators manage users, but can't give anyone more permissions than they have themselves. Only superusers manage
superusers, and the permissions of groups. Nobody gives permissions to individual users.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    ReadOnlyPasswordHashField,
    ReadOnlyPasswordHashWidget,
    UserChangeForm,
    UserCreationForm,
)
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.forms import CheckboxSelectMultiple, ModelMultipleChoiceField
from django.forms.models import ModelChoiceIterator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.urls.resolvers import URLPattern
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django_otp.plugins.otp_totp import admin as registered_with_its_key  # noqa: F401
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning import roles
from provisioning.admin.cells import badge, two_lines, when
from provisioning.admin.deletion import ExplainedDeletion
from provisioning.admin.filters import titled
from provisioning.admin.readonly import ModelAdmin, ReadOnly
from provisioning.admin_site import ask_to_reauthenticate, is_from_identity_provider, record, show_sessions
from provisioning.admin_site.navigation import NAMES
from provisioning.templatetags.times import ago

for model in (User, Group, TOTPDevice):
    admin.site.unregister(model)


def permissions_of(user: User) -> QuerySet[Permission]:
    """Return the permissions assigned to a user, active or not. Superusers have all others too."""
    return Permission.objects.filter(Q(group__user=user) | Q(user=user))


def may_manage(request: HttpRequest, user: User) -> bool:
    """Whether the current staff member has at least the permissions of `user`."""
    if request.user.is_superuser:
        return True
    more = permissions_of(user).exclude(pk__in=permissions_of(request.user))  # type: ignore[arg-type]  # no stranger
    return not user.is_superuser and not more.exists()


class ReauthenticationRequired:
    """Mixin for admins: staff must confirm that it's them before they change anything. It has no bulk actions."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *rest: Any, **named: Any) -> Any:
        may = self.has_change_permission(request) if object_id else self.has_add_permission(request)  # type: ignore[attr-defined]
        asked = ask_to_reauthenticate(request) if may else None
        return asked or super().changeform_view(request, object_id, *rest, **named)  # type: ignore[misc]

    def delete_view(self, request: HttpRequest, *rest: Any, **named: Any) -> Any:
        may = self.has_delete_permission(request)  # type: ignore[attr-defined]
        return (ask_to_reauthenticate(request) if may else None) or super().delete_view(request, *rest, **named)  # type: ignore[misc]


class PasswordStatus(ReadOnlyPasswordHashWidget):
    """Says that there is a password, and nothing of its hash."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        if any("value" in part for part in context["summary"]):
            context["summary"] = [{"label": "Set"}]
        return context


class StaffForm(UserChangeForm):  # type: ignore[type-arg]  # generic in the stubs only
    password = ReadOnlyPasswordHashField(label="Password", widget=PasswordStatus)


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
    """Mark the two fields as required, as Django doesn't."""
    for name in ("password1", "password2"):
        form.fields[name].required = True


class RoleFilter(admin.RelatedFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title, self.empty_value_display = "role", mark_safe("No role")


@admin.register(User)
class StaffAdmin(ReauthenticationRequired, UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
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
    def name(self, user: User) -> SafeString | str:
        full = user.get_full_name()
        return two_lines(full, user.get_username()) if full else user.get_username()

    @admin.display(description="Role")
    def role(self, user: User) -> str:
        groups = [group.name for group in user.groups.all()]
        return ", ".join(["Superuser"] if user.is_superuser else sorted(groups)) or "None"

    @admin.display(description="State", ordering="is_active")
    def access(self, user: User) -> SafeString:
        state, word = ("created", "Active") if user.is_active and user.is_staff else ("closed", "Inactive")
        return badge(state, word)

    @admin.display(description="Last login", ordering="last_login")
    def seen(self, user: User) -> str:
        return ago(user.last_login) if user.last_login else "Never"

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
        """Let everybody who is added here log in to the admin."""
        obj.is_staff = obj.is_staff or not change
        super().save_model(request, obj, form, change)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.sessions)
        return [path("<int:pk>/sessions/", view, name="auth_user_sessions"), *super().get_urls()]

    def sessions(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show where a colleague is logged in, and end sessions."""
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
        if user and is_from_identity_provider(user):
            raise PermissionDenied(
                "This user logs in through your identity provider and has no password here. "
                "They can change their password there."
            )
        if self.has_change_permission(request, user) and (asked := ask_to_reauthenticate(request)):
            return asked
        response = super().user_change_password(request, id, form_url)
        if isinstance(response, TemplateResponse) and response.context_data:
            response.context_data["previous"] = reverse("admin:auth_user_change", args=[id])
        return response


class SuperusersOnly:
    """Mixin for admins: only superusers change anything."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


class GroupedByModel(ModelChoiceIterator):  # type: ignore[type-arg]  # generic in the stubs only
    """Permissions in groups: all that are about the same thing, named as in the navigation. Viewing comes first."""

    def __iter__(self) -> Iterator[Any]:
        permissions = sorted(self.queryset.select_related("content_type"), key=self._order)
        for name, about in groupby(permissions, key=self._name):
            yield name, [self.choice(permission) for permission in about]

    @classmethod
    def _order(cls, permission: Permission) -> tuple[str, bool, int]:
        return cls._name(permission), not permission.codename.startswith("view_"), permission.pk

    @staticmethod
    def _name(permission: Permission) -> str:
        return NAMES.get(permission.content_type.model, capfirst(str(permission.content_type.name)))


DEFAULT_ACTIONS = ("view", "add", "change", "delete")
"""What Django has permissions for on every model. Their names say the model, as the group's name does."""


class PermissionsField(ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    widget = CheckboxSelectMultiple
    iterator = GroupedByModel

    def label_from_instance(self, permission: Permission) -> str:
        action, _, model = permission.codename.partition("_")
        is_usual = action in DEFAULT_ACTIONS and model == permission.content_type.model
        return f"Can {action}" if is_usual else permission.name


@admin.register(Group)
class RoleAdmin(ExplainedDeletion, SuperusersOnly, ReauthenticationRequired, GroupAdmin):
    """Groups. Only superusers change them, because a group could be given any permission."""

    list_display = ("name",)
    filter_horizontal = ()
    object_name = "role"

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, {"title": "Add role"} | (extra_context or {}))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name only the roles, and not each row that links them to a user or a permission."""
        return [str(each) for each in objs], {"roles": len(objs)}, set(), []

    def consequence(self, obj: Group) -> str:
        users = obj.user_set.count()
        if not users:
            return "Nobody has this role."
        who = f"{users} {pluralize(users, 'user has,users have')}"
        return f"{who} this role, and can no longer do what it allows. No user is deleted."

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **options: Any) -> Any:
        """Offer what lets its owner do something: view what the admin has pages for, and what an administrator may."""
        models = [model for model in apps.get_models() if self.admin_site.is_registered(model)]
        elsewhere = [model._meta.model_name for model in models if self._is_seen_by_others(model)]
        useful = [name.partition(".")[2] for name in roles.DEFAULTS[roles.ADMINISTRATOR]]
        options["queryset"] = Permission.objects.filter(
            Q(codename__startswith="view_") | Q(codename__in=useful),
            content_type__in=ContentType.objects.get_for_models(*models).values(),
        ).exclude(codename__in=[f"view_{name}" for name in elsewhere])
        return PermissionsField(options["queryset"], required=False)

    def _is_seen_by_others(self, model: type[Model]) -> bool:
        """Whether another permission than the model's own lets staff see its rows."""
        return bool(getattr(self.admin_site.get_model_admin(model), "view_permission", ""))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Keep the permissions that the form doesn't offer: nobody could see that saving takes them away."""
        kept = list(form.instance.permissions.exclude(pk__in=form.fields["permissions"].queryset))
        super().save_related(request, form, formsets, change)
        form.instance.permissions.add(*kept)


@admin.register(TOTPDevice)
class SecondFactorAdmin(ExplainedDeletion, ReadOnly, ReauthenticationRequired, ModelAdmin):
    """Second factors. Administrators delete one when its owner has lost their phone."""

    list_display = fields = ("user", "state", "set_up", "used")
    list_display_links = ("user",)
    list_filter = (("confirmed", titled("in use", admin.BooleanFieldListFilter)),)
    search_fields = ("user__username", "user__email")
    list_select_related = ("user",)
    one, nothing_yet = "authenticator app", "Nobody has set up two-factor authentication yet."

    @admin.display(description="State", ordering="confirmed")
    def state(self, device: TOTPDevice) -> SafeString:
        return badge("created", "In use") if device.confirmed else badge("queued", "Being set up")

    @admin.display(description="Set up", ordering="created_at")
    def set_up(self, device: TOTPDevice) -> SafeString:
        return when(device.created_at)

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, device: TOTPDevice) -> SafeString | str:
        return when(device.last_used_at) if device.last_used_at else "Never"

    def consequence(self, obj: TOTPDevice) -> str:
        return f"{obj.user} then logs in with only a password, until they set up two-factor authentication again."

    def get_queryset(self, request: HttpRequest) -> QuerySet[TOTPDevice]:
        devices: QuerySet[TOTPDevice] = super().get_queryset(request).defer("key")
        return devices if request.user.is_superuser else devices.filter(user__is_superuser=False)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = request.user.has_perm("otp_totp.delete_totpdevice")
        return may and (obj is None or may_manage(request, obj.user))
