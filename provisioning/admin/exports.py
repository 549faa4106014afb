"""Exports of the list of accounts: CSV in words for people, JSON for programs. Neither contains secrets."""

from __future__ import annotations

import csv
import json
import logging
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Case, OuterRef, QuerySet, Subquery, When
from django.http import Http404, HttpRequest, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils.timezone import localdate, localtime

from provisioning import attribution, rules
from provisioning.admin.pages import require_permissions
from provisioning.admin_site import record
from provisioning.admin_site.words import display_value
from provisioning.models import Account, Attempt

log = logging.getLogger(__name__)

COLUMNS = (
    "reference",
    "state",
    *rules.SHOWN_PROPERTIES,
    "idp_provider_id",
    "account_id",
    "host",
    "decline_reason",
    "submitted_at",
    "state_changed_at",
    "created_at",
    "erased_at",
)
SENT = Attempt.SENT
"""They are exported as they were sent; an ID of the account's own even before. The settings may have changed since."""
REFUSED_STATES = (Account.State.REJECTED, Account.State.CLOSED)
LABELS = SENT | {"refused": "Refused by Constant Contact"} | attribution.NAMES

FORMULA = re.compile(r"^(?=[\t\r\n])|(^|[;\t\r\n][ \"]*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001
"""Where a spreadsheet can mistake a text for a formula: https://owasp.org/www-community/attacks/CSV_Injection

Not only at its beginning: where the list separator is a semicolon, as in French and Spanish, Excel splits there, and
at the end of a line, even within quotes, and then takes quotes as its own.
"""
PHONE = re.compile(r"\+[0-9][0-9()\-./# ]*((ext|extension|poste|x)\.? ?[0-9]+)?", re.IGNORECASE)

CHUNK = 2000
"""How many rows are read at a time."""

T = TypeVar("T")
Values = dict[str, Any]
"""An account's values by name, for programs."""


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
    record(request, None, "Accounts exported", _describe(kind, request.GET))
    content_type, lines = FORMATS[kind]
    extra: ExtraColumns = model_admin.extra_columns
    return StreamingHttpResponse(
        lines(in_chunks(accounts, partial(_read, extra=extra)), extra),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="accounts-{localdate()}.{kind}"'},
    )


@dataclass(frozen=True)
class ExtraColumns:
    """Further columns, for an admin that knows more about an account."""

    labels: Mapping[str, str]
    read: Callable[[list[int]], Mapping[int, Values]]
    """Return the values of these accounts, by primary key. Accounts may be missing."""


NO_EXTRA_COLUMNS = ExtraColumns({}, lambda keys: {})


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


def _read(keys: list[int], extra: ExtraColumns) -> dict[int, Values]:
    annotated = Account.objects.filter(pk__in=keys).annotate(sent=_sent(), refused=_refused()).order_by()
    own = ("refused", "sent", "partner_account_id", "attribution")
    rows = {key: _values(*row) for key, *row in annotated.values_list("pk", *own, *COLUMNS)}
    found = extra.read(keys)
    for key, row in rows.items():
        row.update(found.get(key) or dict.fromkeys(extra.labels))
    return rows


def _values(
    refused: dict[str, str] | None, sent: dict[str, Any] | None, own_id: str, came_from: dict[str, str], *columns: Any
) -> Values:
    values = dict(zip(COLUMNS, columns, strict=True))
    reasons = Attempt(refused=refused).reasons() if refused and values["state"] in REFUSED_STATES else {}
    added = ({"partner_account_id": own_id} if own_id else {}) | (sent or {})
    added |= came_from
    return values | {"refused": reasons} | {name: added.get(name) for name in (*SENT, *attribution.NAMES)}


def _describe(kind: str, query: QueryDict) -> str:
    """Describe an export: its format and filters, but neither the search term nor where sign-ups came from.

    Both may be personal data, which would outlive the account.
    """
    filters = [
        name if name in attribution.NAMES else f"{name}={value}" for name, value in query.items() if name != SEARCH_VAR
    ]
    searched = ["after a search"] if query.get(SEARCH_VAR) else []
    return ", ".join([kind.upper(), *filters, *searched])


def _sent() -> Subquery:
    """Return what the partner added to the call that created the account, or else to the last call that went out."""
    calls = Attempt.objects.filter(account=OuterRef("pk"), kind=Attempt.Kind.CREATE)
    went_out = calls.exclude(outcome__in=(Attempt.Outcome.UNSENT, Attempt.Outcome.NOT_DONE))
    created_first = Case(When(outcome=Attempt.Outcome.CREATED, then=0), default=1)
    return Subquery(went_out.order_by(created_first, "-started_at", "-pk").values("sent")[:1])


def _refused() -> Subquery:
    """Return what Constant Contact refused last."""
    refusals = Attempt.objects.filter(account=OuterRef("pk"), outcome__in=Attempt.REFUSALS)
    return Subquery(refusals.order_by("-started_at", "-pk").values("refused")[:1])


def as_json(accounts: Iterable[Values], extra: ExtraColumns = NO_EXTRA_COLUMNS) -> Iterator[str]:
    """Yield the lines of a JSON array, with one object on each line."""
    before = "[\n"
    for values in accounts:
        yield before + json.dumps(values, cls=DjangoJSONEncoder, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def accounts_as_csv(accounts: Iterable[Values], extra: ExtraColumns = NO_EXTRA_COLUMNS) -> Iterator[str]:
    """Yield the lines of a CSV file in words, with local times."""
    header = [*(_label(name) for name in (*COLUMNS, *LABELS)), *extra.labels.values()]
    return as_csv(([*_row(values), *(_listed(values[name]) for name in extra.labels)] for values in accounts), header)


def _listed(value: Any) -> Any:
    """Return a list of objects in words."""
    if not isinstance(value, list):
        return value
    return "; ".join(" ".join(filter(None, (_cell(part) for part in each.values()))) for each in value)


def _label(name: str) -> str:
    zone = f" ({settings.TIME_ZONE})" if name.endswith("_at") else ""
    return (LABELS.get(name) or Account.label(name)) + zone


def _row(values: Values) -> list[object]:
    states = rules.states(values["country_code"])
    words = values | {
        "state": Account.State(values["state"]).label,
        "country_code": rules.country_name(values["country_code"]) or values["country_code"],
        "state_code": states.get(values["state_code"], values["state_code"]),
        "decline_reason": values["decline_reason"] and Account.DeclineReason(values["decline_reason"]).label,
        "refused": "; ".join(f"{Account.label(name)}: {reason}" for name, reason in sorted(values["refused"].items())),
    }
    return [words[name] for name in (*COLUMNS, *LABELS)]


def as_csv(rows: Iterable[Iterable[object]], header: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a CSV file. It starts with a byte order mark, by which spreadsheets recognize UTF-8.

    Every value is quoted, so that a spreadsheet can be told to take digits as text.
    """
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield "\ufeff" + writer.writerow(header)
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


FORMATS = {"csv": ("text/csv; charset=utf-8", accounts_as_csv), "json": ("application/json", as_json)}


def _cell(value: object) -> str:
    """Return the text for a value. No text starts a formula, and phone numbers can still be dialed."""
    if isinstance(value, datetime):
        return localtime(value).strftime("%Y-%m-%d %H:%M:%S")
    text = "" if value is None else display_value(value)
    if PHONE.fullmatch(text):
        return re.sub(r"[-/.# ]+", " ", text)  # Spreadsheets would calculate +1-800-555.
    return FORMULA.sub(r"\1'", text)


class _Echo:
    """A file that returns each line, so that the CSV writer's lines can be streamed."""

    def write(self, line: str) -> str:
        return line
