"""Where sign-ups came from: filters of their list, and links to it from an account's page."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlencode

from django.contrib import admin
from django.core.cache import cache
from django.db.models import QuerySet
from django.db.models.lookups import Exact
from django.http import HttpRequest
from django.urls import reverse

from provisioning.attribution import NAMES, ValueOf, clean
from provisioning.models import Account

CHOICES = frozenset({"utm_source", "utm_campaign"})
"""The values that staff can choose from in the list. Links on an account's page lead to all others."""


class AttributionFilter(admin.SimpleListFilter):
    """Where sign-ups came from: one value of `Account.attribution`.

    To choose from, it has the values that the newest sign-ups have most often. Others are chosen on an account's page.
    """

    parameter_name: str
    has_choices = False
    NEWEST, MAX_CHOICES = 5000, 50

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        often = cache.get_or_set(f"filters.{self.parameter_name}", self._often, 600) if self.has_choices else []
        chosen = [self.value()] if self.value() else []
        return [(value, value) for value in sorted({*(often or []), *chosen})]

    def has_output(self) -> bool:
        return bool(self.lookup_choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        if not (value := self.value()):
            return queryset
        wanted = clean({self.parameter_name: value}).get(self.parameter_name, "")
        return queryset.filter(Exact(ValueOf(self.parameter_name), wanted))

    def _often(self) -> list[str]:
        newest = Account.objects.order_by("-submitted_at").values_list(ValueOf(self.parameter_name))
        counted = Counter(value for (value,) in newest[: self.NEWEST] if value)
        return [value for value, _times in counted.most_common(self.MAX_CHOICES)]


def _attribution_filter(name: str) -> type[AttributionFilter]:
    title, has_choices = NAMES[name].lower(), name in CHOICES
    return type(name, (AttributionFilter,), {"title": title, "parameter_name": name, "has_choices": has_choices})


ATTRIBUTION_FILTERS = tuple(map(_attribution_filter, NAMES))


def attribution_links(account: Account) -> list[tuple[str, str, str]]:
    """Return what is known of where a sign-up came from: label, value, and a link to all accounts with this value."""
    accounts = reverse("admin:provisioning_account_changelist")
    known = ((name, account.attribution[name]) for name in NAMES if name in account.attribution)
    return [(NAMES[name], value, f"{accounts}?{urlencode({name: value})}") for name, value in known]
