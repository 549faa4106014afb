"""The list of accounts, which is as fast with a million accounts as with a thousand."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from provisioning import search
from provisioning.models import Account


class ShortPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Count and page through the newest accounts only. To see others, staff filter or search.

    One query finds their keys, for both the count and the page: this query is the main cost of a search.
    """

    MAX_ROWS = 1000

    def __init__(self, accounts: QuerySet[Account], per_page: int, *args: Any, **kwargs: Any) -> None:
        newest = list(accounts.values_list("pk", flat=True)[: self.MAX_ROWS])
        super().__init__(newest, per_page, *args, **kwargs)


class AccountList(ChangeList):
    """The list of accounts, read by two queries: the keys of those to page through, and the accounts of one page."""

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
