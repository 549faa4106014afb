"""Exports of the list of accounts: CSV for spreadsheets, JSON for programs. Neither contains secrets."""

from __future__ import annotations

import csv
import json
import logging
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Case, OuterRef, QuerySet, Subquery, When
from django.http import Http404, HttpRequest, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils.timezone import localdate

from provisioning.admin.action_views import require_permissions
from provisioning.admin_site import record
from provisioning.models import Account, Attempt

log = logging.getLogger(__name__)

COLUMNS = (
    "reference",
    "state",
    "organization_name",
    "website",
    "country_code",
    "state_code",
    "first_name",
    "last_name",
    "email",
    "phone",
    "username",
    "idp_provider_id",
    "gdpr_opt_out",
    "account_id",
    "host",
    "submitted_at",
    "state_changed_at",
    "created_at",
    "erased_at",
)
SENT = ("single_billing", "managed_site_owner", "billing_locale", "idp_provider", "partner_account_id")
"""Properties that the partner added, as they were sent. The settings may have changed since."""
HEADER = (*COLUMNS, *SENT)

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""Characters that can start a formula in a spreadsheet: https://owasp.org/www-community/attacks/CSV_Injection"""

CHUNK = 2000
"""How many rows are read at a time."""

T = TypeVar("T")
Row = tuple[Any, ...]


def export(model_admin: Any, request: HttpRequest, kind: str) -> HttpResponseBase:
    """Export all pages of the list, filtered by the same query string."""
    require_permissions(request, "provisioning.export_account")
    if kind not in FORMATS:
        raise Http404
    try:
        accounts = model_admin.get_changelist_instance(request).get_queryset(request)
    except IncorrectLookupParameters:
        return redirect("admin:provisioning_account_changelist")
    log.info("accounts exported by=%s as=%s", request.user.pk, kind)
    record(request, None, "Accounts exported", _described(kind, request.GET))
    content_type, lines = FORMATS[kind]
    return StreamingHttpResponse(
        lines((*row, *map((sent or {}).get, SENT)) for *row, sent in in_chunks(accounts, _read)),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="accounts-{localdate()}.{kind}"'},
    )


def in_chunks(found: QuerySet[Any], read: Callable[[list[int]], Mapping[int, T]]) -> Iterator[T]:
    """Yield what `read` returns for each row found, in order. Rows deleted meanwhile are left out.

    A cursor would be simpler, but it needs one connection to PostgreSQL from beginning to end, which pgbouncer doesn't
    give in transaction mode. A key takes 8 bytes.
    """
    keys = array("q", found.values_list("pk", flat=True).iterator(CHUNK))
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK].tolist()
        rows = read(chunk)
        yield from (rows[key] for key in chunk if key in rows)


def _read(keys: list[int]) -> dict[int, Row]:
    rows = Account.objects.filter(pk__in=keys).annotate(sent=_sent()).values_list("pk", *COLUMNS, "sent").order_by()
    return {key: tuple(row) for key, *row in rows}


def _described(kind: str, query: QueryDict) -> str:
    """Describe an export: its format and filters, but not the search term, which may be personal data."""
    filters = [f"{name}={value}" for name, value in query.items() if name != SEARCH_VAR]
    searched = ["after a search"] if query.get(SEARCH_VAR) else []
    return ", ".join([kind.upper(), *filters, *searched])[:255]


def _sent() -> Subquery:
    """Return what the partner added to the call that created the account, or else to the last call that went out."""
    calls = Attempt.objects.filter(account=OuterRef("pk"), kind=Attempt.Kind.CREATE)
    went_out = calls.exclude(outcome__in=(Attempt.Outcome.UNSENT, Attempt.Outcome.NOT_DONE))
    created_first = Case(When(outcome=Attempt.Outcome.CREATED, then=0), default=1)
    return Subquery(went_out.order_by(created_first, "-started_at", "-pk").values("sent")[:1])


def as_csv(rows: Iterable[Row], header: Row = HEADER) -> Iterator[str]:
    """Yield the lines of a CSV file. It starts with a byte order mark, by which spreadsheets recognize UTF-8."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(header)
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


def as_json(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of a JSON array, with one object on each line."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(dict(zip(HEADER, row, strict=True)), cls=DjangoJSONEncoder, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


FORMATS = {"csv": ("text/csv; charset=utf-8", as_csv), "json": ("application/json", as_json)}


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


class _Echo:
    """A file that returns each line, so that the CSV writer's lines can be streamed."""

    def write(self, line: str) -> str:
        return line
