"""What a list may be asked for: only lookups that its filters offer, only what databases can answer, only real keys.

Django's admin filters by any column, shown or not, so a secret could be read one character at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin import FieldListFilter, ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect

from provisioning import search


class OfferedLookups:
    """Mixin that the site adds to every admin."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in _offered(self, request)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        try:
            changelist: ChangeList = super().get_changelist_instance(request)  # type: ignore[misc]
        except (ValueError, OverflowError) as error:  # A date that can't be computed, or its end.
            raise IncorrectLookupParameters(error) from error
        return changelist

    def get_search_results(self, request: HttpRequest, rows: QuerySet[Any], text: str) -> tuple[QuerySet[Any], bool]:
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, rows, text[: search.MAX_LENGTH])  # type: ignore[misc]
        return found

    def response_action(self, request: HttpRequest, *rest: Any, **named: Any) -> Any:
        """Carry out an action on the selected rows, unless a made-up key was sent for one of them."""
        model: Any = self.model  # type: ignore[attr-defined]
        try:
            for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
                model._meta.pk.to_python(key)
        except ValidationError:
            name = model._meta.verbose_name_plural
            messages.error(request, f"Nothing was done. Select one or more {name} in the list first.")
            return redirect(request.get_full_path())
        return super().response_action(request, *rest, **named)  # type: ignore[misc]


def _offered(model_admin: Any, request: HttpRequest) -> set[str | None]:
    offered: set[str | None] = set()
    for filter_item in model_admin.get_list_filter(request):
        offered.update(_parameters(model_admin, filter_item, request))
    return offered


def _parameters(model_admin: ModelAdmin[Any], filter_item: Any, request: HttpRequest) -> Iterator[str | None]:
    if isinstance(filter_item, type):
        yield filter_item.parameter_name  # type: ignore[attr-defined]  # a SimpleListFilter
        return
    path, create = filter_item if isinstance(filter_item, tuple) else (filter_item, FieldListFilter.create)
    field = get_fields_from_path(model_admin.model, path)[-1]
    spec = create(field, request, {}, model_admin.model, model_admin, field_path=path)
    yield from spec.expected_parameters()
