"""An allowlist for the lookups in a list's query string: only those that its filters offer.

Django's admin filters by any column, shown or not, so a secret could be read one character at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import FieldListFilter, ModelAdmin
from django.contrib.admin.utils import get_fields_from_path
from django.http import HttpRequest


class OfferedLookups:
    """Mixin that the site adds to every admin."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in _offered(self, request)


def _offered(model_admin: Any, request: HttpRequest) -> set[str | None]:
    offered: set[str | None] = {f"{model_admin.date_hierarchy}__{part}" for part in ("year", "month", "day")}
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
