"""Mixins for admins: what staff may do only after they confirm that it's them.

They do so before anything that decides who gets in, where data goes, where customers are sent, or what customers agree
to. Account actions that can't be undone ask in `actions`, by `needs_reauthentication`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from provisioning.admin_site import ask_to_reauthenticate, has_authenticated_lately


class _DeletionConfirmed:
    def delete_view(self, request: HttpRequest, *rest: Any, **named: Any) -> Any:
        may = self.has_delete_permission(request)  # type: ignore[attr-defined]
        return (ask_to_reauthenticate(request) if may else None) or super().delete_view(request, *rest, **named)  # type: ignore[misc]


class ReauthenticationRequired(_DeletionConfirmed):
    """Mixin for admins: staff must confirm that it's them before they change anything. It has no bulk actions."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *rest: Any, **named: Any) -> Any:
        # Either: from a row's page, Django can also add a new one (`_saveasnew`).
        may = self.has_change_permission(request) or self.has_add_permission(request)  # type: ignore[attr-defined]
        asked = ask_to_reauthenticate(request) if may else None
        return asked or super().changeform_view(request, object_id, *rest, **named)  # type: ignore[misc]


class SensitiveFields(_DeletionConfirmed):
    """Mixin for admins: the same for a deletion, and for a change of the fields that `sensitive_fields` names.

    The form asks for it. A redirect, as on other pages, would lose what was typed. It has no bulk actions either.
    """

    sensitive_fields: Collection[str]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_form(self, request: HttpRequest, *rest: Any, **named: Any) -> Any:
        form = super().get_form(request, *rest, **named)  # type: ignore[misc]
        return type(form.__name__, (_AsksFirst, form), {"request": request, "sensitive": self.sensitive_fields})


class _AsksFirst:
    request: ClassVar[HttpRequest]
    sensitive: ClassVar[Collection[str]]

    def clean(self) -> Any:
        cleaned = super().clean()  # type: ignore[misc]  # of the form
        if not has_authenticated_lately(self.request):
            for field in set(self.sensitive) & set(self.changed_data):  # type: ignore[attr-defined]
                self.add_error(field, ValidationError(_confirm_first(), code="confirm"))  # type: ignore[attr-defined]
        return cleaned


def _confirm_first() -> SafeString:
    words = """To change this, <a href="{}" target="_blank">confirm it's you</a> in a new tab. Then save again here."""
    return format_html(words, reverse("admin:confirm"))
