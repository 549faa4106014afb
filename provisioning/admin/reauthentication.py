"""A mixin for admins whose pages ask staff to confirm that it's them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from provisioning.admin_site import ask_to_reauthenticate


class ReauthenticationRequired:
    """Mixin for admins: staff must confirm that it's them before they change anything. It has no bulk actions."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *rest: Any, **named: Any) -> Any:
        # Either: from a row's page, Django can also add a new one (`_saveasnew`).
        may = self.has_change_permission(request) or self.has_add_permission(request)  # type: ignore[attr-defined]
        asked = ask_to_reauthenticate(request) if may else None
        return asked or super().changeform_view(request, object_id, *rest, **named)  # type: ignore[misc]

    def delete_view(self, request: HttpRequest, *rest: Any, **named: Any) -> Any:
        may = self.has_delete_permission(request)  # type: ignore[attr-defined]
        return (ask_to_reauthenticate(request) if may else None) or super().delete_view(request, *rest, **named)  # type: ignore[misc]
