"""The columns of the list of accounts, which each staff member can choose."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.admin.utils import label_for_field
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from provisioning.admin.pages import require_permissions
from provisioning.models import Account, Preferences

ALWAYS = "customer"
"""The column that leads to the account's page."""
USUAL = ("colored_state", "submitted", ALWAYS, "email", "country", "assigned_to")
MORE = (
    "last_answer",
    "owner",
    "phone",
    "website",
    "place",
    "host",
    "language",
    "account_id",
    "partner_account_id",
    "took",
)
COLUMNS = (*USUAL, *MORE)


def chosen_columns(request: HttpRequest) -> tuple[str, ...]:
    """Return the columns that this staff member has chosen, or the usual ones."""
    chosen = Preferences.objects.filter(user=request.user.pk).values_list("columns", flat=True).first()
    return tuple(name for name in COLUMNS if name in chosen or name == ALWAYS) if chosen else USUAL


def column_choices(model_admin: Any, shown: Collection[str]) -> list[tuple[str, str, bool]]:
    """Return the name and label of each column that can be left out, and whether it is shown."""
    return [
        (name, str(label_for_field(name, Account, model_admin)), name in shown) for name in COLUMNS if name != ALWAYS
    ]


def save_columns(request: HttpRequest) -> HttpResponse:
    """Save the chosen columns, or the usual ones again if none is chosen, and go back to the list as it was."""
    require_permissions(request)
    chosen = [name for name in COLUMNS if name in request.POST.getlist("column")]
    Preferences.objects.update_or_create(user_id=request.user.pk or 0, defaults={"columns": chosen})
    query = QueryDict(request.POST.get("query", ""), mutable=True)
    query.pop("o", None)  # It counts columns.
    return redirect(f"{reverse('admin:provisioning_account_changelist')}?{query.urlencode()}")
