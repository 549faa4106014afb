"""Charts as inline SVG, rendered on the server. The style sheet sets the colors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from math import ceil, log10

from django.urls import reverse
from django.utils.http import urlencode

from provisioning.models import Account

State = Account.State

WIDTH, HEIGHT, LEFT, RIGHT, BELOW = 720, 200, 40, 12, 24

SERIES = (
    ("created", "Created", (State.CREATED,)),
    ("pending", "In progress", (State.HELD, State.QUEUED, State.SENDING)),
    ("trouble", "Rejected or unconfirmed", (State.REJECTED, State.UNCONFIRMED)),
    ("closed", "Closed", (State.CLOSED,)),
)
"""The series stacked for each day, from the bottom up: CSS class, name, and the states that it counts."""


def accounts_of(day: date, *states: str) -> str:
    """Return the URL of the list of accounts that were submitted on a day and are in one of these states, or in any."""
    lookup = [("submitted_at__year", day.year), ("submitted_at__month", day.month), ("submitted_at__day", day.day)]
    query = urlencode([*lookup, *(("state__exact", state) for state in states)])
    return f"{reverse('admin:provisioning_account_changelist')}?{query}"


@dataclass(frozen=True)
class Bar:
    css_class: str
    url: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """Accounts by day and outcome, as stacked bars."""

    days: Mapping[date, Counter[str]]

    @property
    def view_box(self) -> str:
        return f"0 0 {WIDTH} {HEIGHT}"

    @property
    def legend(self) -> list[tuple[str, object]]:
        return [(css_class, name) for css_class, name, _states in SERIES]

    @property
    def rows(self) -> list[tuple[date, list[tuple[int, str]]]]:
        """Return the numbers as a table: day, and the count of each series with the URL of its accounts."""
        return [
            (day, [(sum(counts[state] for state in states), accounts_of(day, *states)) for *_name, states in SERIES])
            for day, counts in self.days.items()
        ]

    @property
    def most(self) -> int:
        """Return the total of the busiest day."""
        return max((counts.total() for counts in self.days.values()), default=0)

    @property
    def top(self) -> int:
        """Return the number at the top of the scale: the next round one that can be halved."""
        step: int = 10 ** max(0, ceil(log10(max(self.most, 1))) - 1)
        return next(number * step for number in (2, 4, 6, 8, 10) if number * step >= self.most)

    @property
    def lines(self) -> list[tuple[int, float]]:
        """Return the numbers on the scale, and their y coordinates."""
        return [(number, self._y(number)) for number in (0, self.top // 2, self.top)]

    @property
    def dates(self) -> list[tuple[date, float]]:
        """Return the dates of the weekly marks below the bars and their x coordinates; the last one is today."""
        width = self._width
        return [
            (day, LEFT + (number + 0.5) * width)
            for number, day in enumerate(self.days)
            if (len(self.days) - 1 - number) % 7 == 0
        ]

    @property
    def bars(self) -> Iterator[tuple[date, int, list[Bar]]]:
        """Yield each day, its total, and its bars."""
        width = self._width
        for number, (day, counts) in enumerate(self.rows):
            bars, below = [], 0
            for (css_class, *_name), (count, url) in zip(SERIES, counts, strict=True):
                y = self._y(below + count)
                if count:
                    x = LEFT + number * width + width * 0.15
                    bars.append(
                        Bar(css_class, url, round(x, 2), y, round(width * 0.7, 2), round(self._y(below) - y, 2))
                    )
                below += count
            yield day, below, bars

    @property
    def _width(self) -> float:
        return (WIDTH - LEFT - RIGHT) / max(1, len(self.days))

    def _y(self, number: int) -> float:
        room = HEIGHT - BELOW - 8
        return round(8 + room * (1 - number / self.top), 2)


@dataclass(frozen=True)
class Share:
    name: str
    count: int
    percent: float
    url: str


def shares(counts: Counter[tuple[str, str]]) -> list[Share]:
    """Return each name and URL with its share of all, the most frequent first."""
    return [Share(name, count, 100 * count / counts.total(), url) for (name, url), count in counts.most_common()]
