"""Filters of the list of accounts, most of which answer questions that staff ask often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from provisioning import rules, search
from provisioning.audit import name_of
from provisioning.models import Account, Attempt
from provisioning.sealed import NOTHING

State = Account.State

MINUTE = timedelta(minutes=1)

WAITING = Account.objects.waiting_for_staff().values("pk")
LATELY = Q(submitted_at__gte=Now() - timedelta(days=30))
WAITS_LONG = Q(state__in=Account.UNDER_WAY, submitted_at__lte=Now() - MINUTE)
SLOW = LATELY & (Q(created_at__gt=F("submitted_at") + MINUTE) | WAITS_LONG)
PAID = Attempt.objects.filter(
    account=OuterRef("pk"),
    kind=Attempt.Kind.CREATE,
    outcome__in=Attempt.DOUBTFUL,
    sent__single_billing=True,
)
"""Calls that created the account, or may have, on the partner's bill. The settings may have changed since."""
QUESTIONS: dict[str, tuple[str, Q]] = {
    "attention": ("Needs attention", Q(state=State.REJECTED) | Q(pk__in=WAITING)),
    "lost": ("Unconfirmed for too long", Q(state=State.UNCONFIRMED, pk__in=WAITING)),
    "slow": ("Took over a minute (last 30 days)", SLOW),
    "no-token": ("Created without a token", Q(state=State.CREATED, oauth2_token=NOTHING)),
    "paid": ("Accounts you pay for", Q(Exists(PAID), state=State.CREATED)),
    "test": ("Test accounts", Q(email__iendswith=f"@{rules.TEST_DOMAIN}")),
}


def titled(title: str, base: type[admin.FieldListFilter]) -> type[Any]:
    """Return Django's filter for a kind of field, under a title of its own instead of the field's name."""

    class Titled(base):  # type: ignore[misc, valid-type]  # one of Django's
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self.title = title

    return Titled


class StateTabs(admin.ChoicesFieldListFilter):
    """The states, as tabs above the list. They are counted while nothing else narrows the list down."""

    template = "admin/provisioning/account/tabs.html"
    is_tabs = True
    MAX_COUNT = 1000
    """More accounts in a state are not counted, so that the cost doesn't grow with their number."""

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        everything, *states = super().choices(changelist)
        yield everything
        narrowed = changelist.query or set(changelist.get_filters_params()) - set(self.expected_parameters())
        counts = {} if narrowed else self._count()
        for state, choice in zip(State, states, strict=False):
            count = counts.get(state)
            yield {**choice, "count": count and min(count, self.MAX_COUNT), "is_more": count and count > self.MAX_COUNT}

    def _count(self) -> dict[str, int]:
        """Return state → how many accounts are in it, at most one more than `MAX_COUNT`."""
        some = "SELECT 1 FROM provisioning_account WHERE state = %s LIMIT %s"
        of_state = f"SELECT %s, (SELECT COUNT(*) FROM ({some}) AS found)"  # noqa: S608
        values = [value for state in State for value in (state, state, self.MAX_COUNT + 1)]
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join([of_state] * len(State)), values)
            return dict(cursor.fetchall())


class QuestionFilter(admin.SimpleListFilter):
    """The questions that staff ask most often."""

    title = "topic"
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in QUESTIONS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        if (key := self.value()) not in QUESTIONS:
            return queryset
        if key == "test":  # The search index narrows this down; otherwise every account would be read.
            queryset = search.matching(queryset, rules.TEST_DOMAIN.partition(".")[0])
        return queryset.filter(QUESTIONS[key][1])


class AssigneeFilter(admin.SimpleListFilter):
    """Who takes care of an account."""

    title = "assigned to"
    parameter_name = "assignee"
    ME, NOBODY = "me", "nobody"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        colleagues = User.objects.filter(is_active=True, is_staff=True).exclude(pk=str(request.user.pk))
        names = sorted((name_of(user), str(user.pk)) for user in colleagues)
        return [(self.ME, "Mine"), (self.NOBODY, "Nobody's"), *((key, name) for name, key in names)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        if (key := self.value()) not in {choice for choice, _name in self.lookup_choices}:
            return queryset
        assignee = {self.ME: request.user.pk, self.NOBODY: None}
        return queryset.filter(assignee=assignee.get(key, key))


class RefusedFilter(admin.SimpleListFilter):
    """What Constant Contact refused in the last 30 days, corrected or not."""

    title = "refused value"
    parameter_name = "refused"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(name, Account.label(name)) for name in rules.CUSTOMER_PROPERTIES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        if (name := self.value()) not in rules.CUSTOMER_PROPERTIES:
            return queryset
        refusals = Attempt.objects.filter(
            outcome__in=Attempt.REFUSALS,
            started_at__gte=Now() - timedelta(days=30),
            refused__has_key=name,
        )
        return queryset.filter(pk__in=refusals.values("account"))


class ValueFilter(admin.SimpleListFilter):
    """The values of the column `parameter_name`, sorted by name. A new value may take ten minutes to appear."""

    parameter_name: str

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        values = Account.objects.order_by().values_list(self.parameter_name, flat=True).distinct()
        there = cache.get_or_set(f"filters.{self.parameter_name}", lambda: list(values), 600) or []
        return sorted(((value, self.name(value)) for value in there if value), key=lambda choice: choice[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset

    def name(self, value: str) -> str:
        return value


class CountryFilter(ValueFilter):
    title = "country"
    parameter_name = "country_code"

    def name(self, value: str) -> str:
        return rules.country_name(value) or value


class BrandFilter(ValueFilter):
    """Brands, by host name. With a single brand, there is nothing to filter."""

    title = "brand"
    parameter_name = "host"

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1
