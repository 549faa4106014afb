"""The admin for roles, which are Django's groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q
from django.forms import CheckboxSelectMultiple, ModelMultipleChoiceField
from django.forms.models import ModelChoiceIterator
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import pluralize
from django.utils.text import capfirst

from provisioning import roles
from provisioning.admin.deletion import ExplainedDeletion
from provisioning.admin.model_admin import HistoryForViewers
from provisioning.admin.reauthentication import ReauthenticationRequired
from provisioning.admin_site.navigation import NAMES

admin.site.unregister(Group)


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
class RoleAdmin(HistoryForViewers, ExplainedDeletion, SuperusersOnly, ReauthenticationRequired, GroupAdmin):
    """Groups. Only superusers change them, because a group could be given any permission."""

    list_display = ("name",)
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
        return f"{who} this role, and will lose what it allows. No user is deleted."

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
