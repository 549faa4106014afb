"""The filter of accounts by the day, month, or year in which they were submitted."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localdate, make_aware

from provisioning.models import Account


@dataclass(frozen=True)
class Span:
    """A year, a month, or a day. What is 0 is open."""

    year: int
    month: int = 0
    day: int = 0

    def __str__(self) -> str:
        if not self.month:
            return str(self.year)
        return date_format(self.first, "DATE_FORMAT" if self.day else "YEAR_MONTH_FORMAT")

    @property
    def first(self) -> date:
        return date(self.year, self.month or 1, self.day or 1)

    @property
    def end(self) -> date:
        """The day after."""
        if self.day:
            return self.first + timedelta(days=1)
        return (self.first + timedelta(days=31 if self.month else 366)).replace(day=1)

    def path(self) -> list[Span]:
        """Return the year and, unless this is a year, the month."""
        return [Span(self.year), *([Span(self.year, self.month)] if self.month else [])]

    def parts(self) -> list[Span]:
        """Return the months of a year, or the days of a month, the latest first."""
        if not self.month:
            return [Span(self.year, month) for month in range(12, 0, -1)]
        return [Span(self.year, self.month, day) for day in range(monthrange(self.year, self.month)[1], 0, -1)]


class SubmittedFilter(admin.DateFieldListFilter):
    """The last days, or the years, then the months of the chosen year, and then the days of the chosen month."""

    def __init__(
        self, field: Any, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any, field_path: str
    ) -> None:
        self.parts = [f"{field_path}__{part}" for part in ("year", "month", "day")]
        super().__init__(field, request, params, model, model_admin, field_path)
        self.title = "signed up"
        links: Any = self.links
        any_date, (today, lookup), week, *_calendar = links
        month = lookup | {self.lookup_kwarg_since: lookup[self.lookup_kwarg_since] - timedelta(days=30)}
        self.links = (any_date, (today, lookup), week, ("Past 30 days", month))
        year, *rest = (int(self.date_params.get(part, 0)) for part in self.parts)
        self.chosen = Span(year, *rest) if self.parts[0] in self.date_params else None

    def expected_parameters(self) -> list[str | None]:
        return [*super().expected_parameters(), *self.parts]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """Compare with the span's first and last moment, for which the database has an index."""
        if not self.chosen:
            return super().queryset(request, queryset)
        since, until = (
            make_aware(datetime.combine(day, datetime.min.time())) for day in (self.chosen.first, self.chosen.end)
        )
        return queryset.filter(submitted_at__gte=since, submitted_at__lt=until)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield from super().choices(changelist)
        for span in self._spans():
            lookup = {part: number for part, number in zip(self.parts, asdict(span).values(), strict=True) if number}
            yield {
                "selected": span == self.chosen,
                "query_string": changelist.get_query_string(lookup, [self.field_generic]),
                "display": str(span),
            }

    def _spans(self) -> list[Span]:
        """Return what can be chosen, from the newest account to the oldest.

        Spans without accounts are listed too, to save a query.
        """
        submitted = Account.objects.values_list("submitted_at", flat=True)
        oldest, newest = submitted.order_by("submitted_at").first(), submitted.order_by("-submitted_at").first()
        if oldest is None or newest is None:
            return []
        first, last = localdate(oldest), localdate(newest)
        path = self.chosen.path() if self.chosen else []
        spans = path[-1].parts() if path else [Span(year) for year in range(last.year, first.year - 1, -1)]
        return path + [span for span in spans if span.first <= last and span.end > first]
