"""The admin for second factors, django-otp's devices."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_otp.plugins.otp_totp import admin as registered_with_its_key  # noqa: F401
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.admin.cells import badge, when
from provisioning.admin.deletion import ExplainedDeletion
from provisioning.admin.filters import titled
from provisioning.admin.model_admin import ModelAdmin
from provisioning.admin.readonly import ReadOnly
from provisioning.admin.reauthentication import ReauthenticationRequired
from provisioning.admin.staff.permissions import may_manage
from provisioning.templatetags.names import breakable

admin.site.unregister(TOTPDevice)


@admin.register(TOTPDevice)
class SecondFactorAdmin(ExplainedDeletion, ReadOnly, ReauthenticationRequired, ModelAdmin):
    """Second factors. Administrators delete one when its owner has lost their phone."""

    list_display = fields = ("owner", "state", "set_up", "used")
    list_display_links = ("owner",)
    list_filter = (("confirmed", titled("in use", admin.BooleanFieldListFilter)),)
    search_fields = ("user__username", "user__email")
    list_select_related = ("user",)
    nothing_yet = "Nobody has set up two-factor authentication yet."

    @admin.display(description="User", ordering="user__username")
    def owner(self, device: TOTPDevice) -> SafeString:
        return breakable(device.user.get_username())

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
        return f"{obj.user} will log in with only a password until they set up two-factor authentication again."

    def get_queryset(self, request: HttpRequest) -> QuerySet[TOTPDevice]:
        devices: QuerySet[TOTPDevice] = super().get_queryset(request).defer("key")
        return devices if request.user.is_superuser else devices.filter(user__is_superuser=False)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> TOTPDevice | None:
        """Name the device for headings: one that is being set up has a name that is only for `two_factor`."""
        device: TOTPDevice | None = super().get_object(request, object_id, from_field)
        if device:
            device.name = "Authenticator app"
        return device

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = request.user.has_perm("otp_totp.delete_totpdevice")
        return may and (obj is None or may_manage(request, obj.user))
