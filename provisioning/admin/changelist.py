"""The list of accounts, which is as fast with a million accounts as with a thousand."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localdate

from provisioning import search
from provisioning.models import Account

if TYPE_CHECKING:
    AccountPaginator = Paginator[Account]
else:
    AccountPaginator = Paginator


class ShortPaginator(AccountPaginator):
    """Count and page through the newest accounts only. To see others, staff filter or search.

    One query finds their keys, for both the count and the page: this query is the main cost of a search.
    """

    MAX_ROWS = 1000

    def __init__(self, accounts: QuerySet[Account], per_page: int, *args: Any, **kwargs: Any) -> None:
        newest = list(accounts.values_list("pk", flat=True)[: self.MAX_ROWS])
        super().__init__(newest, per_page, *args, **kwargs)  # type: ignore[arg-type]  # a page of keys, not of rows


@dataclass(frozen=True)
class Link:
    title: str
    url: str


class AccountList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        if self.query and not self.get_filters_params():  # Without a filter, only the newest matches are needed.
            found = search.matching(self.root_queryset, self.query, newest=ShortPaginator.MAX_ROWS)
            self.queryset = found.order_by(*self.get_ordering(request, found))
        super().get_results(request)
        everything = isinstance(self.result_list, QuerySet)  # On one page.
        shown = self.paginator.object_list if everything else self.result_list
        accounts = self.root_queryset.filter(pk__in=shown)
        self.result_list = accounts.order_by(*self.get_ordering(request, accounts))
        self.show_admin_actions = bool(self.result_count)
        self.is_cut = self.result_count == ShortPaginator.MAX_ROWS

    @property
    def is_under_way(self) -> bool:
        """Whether a worker will soon change one of the accounts shown."""
        return any(account.due_at and account.state in Account.UNDER_WAY for account in self.result_list)

    def dates(self) -> list[Link]:
        """Return links to the years, to the months of the chosen year, or to the days of the chosen month, and back.

        They range from the oldest account to the newest. Spans without accounts are listed too, to save a query.
        """
        submitted = Account.objects.values_list("submitted_at", flat=True)
        oldest, newest = submitted.order_by("submitted_at").first(), submitted.order_by("-submitted_at").first()
        if oldest is None or newest is None:
            return []
        back, spans = self._spans(range(localdate(oldest).year, localdate(newest).year + 1))
        inside = [span for span in spans if span.first <= localdate(newest) and span.last >= localdate(oldest)]
        return back + [Link(span.title, self._url(**span.lookup)) for span in inside]

    def chosen_dates(self) -> str:
        """Return the chosen year, month, or day in words; empty if none is chosen."""
        parts = [int(self.params.get(f"submitted_at__{part}", 0)) for part in ("year", "month", "day")]
        match parts:
            case [0, *_]:
                return ""
            case [year, 0, _]:
                return str(year)
            case [year, month, 0]:
                return date_format(date(year, month, 1), "YEAR_MONTH_FORMAT")
        return date_format(date(*parts), "DATE_FORMAT")

    def _spans(self, years: range) -> tuple[list[Link], list[Span]]:
        year = int(self.params.get("submitted_at__year", 0))
        if not year:
            return [], [Span(date(each, 1, 1), date(each, 12, 31), str(each), {"year": each}) for each in years]
        everything = Link("All dates", self._url())
        month = int(self.params.get("submitted_at__month", 0))
        if not month:
            months = [(date(year, each, 1), date(year, each, monthrange(year, each)[1])) for each in range(1, 13)]
            return [everything], [
                Span(first, last, date_format(first, "YEAR_MONTH_FORMAT"), {"year": year, "month": first.month})
                for first, last in months
            ]
        days = [date(year, month, each) for each in range(1, monthrange(year, month)[1] + 1)]
        return [everything, Link(str(year), self._url(year=year))], [
            Span(day, day, date_format(day, "MONTH_DAY_FORMAT"), {"year": year, "month": month, "day": day.day})
            for day in days
        ]

    def _url(self, **parts: int) -> str:
        lookup = {f"submitted_at__{part}": number for part, number in parts.items()}
        return self.get_query_string(lookup, remove=["submitted_at__"])


@dataclass(frozen=True)
class Span:
    """A range of days, and the lookup that filters the list by it."""

    first: date
    last: date
    title: str
    lookup: dict[str, int]
