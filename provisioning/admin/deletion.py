"""The page that asks before a deletion: it says what the deletion means, instead of listing the row itself."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class ExplainedDeletion:
    """Mixin for admins whose rows can be deleted.

    They have a method `consequence(obj)`, which returns what will be different after the deletion, in full sentences.
    """

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> Any:
        context["consequence"] = self.consequence(context["object"])  # type: ignore[attr-defined]
        context["object_name"] = getattr(self, "object_name", "") or self.opts.verbose_name  # type: ignore[attr-defined]
        return super().render_delete_form(request, context)  # type: ignore[misc]
