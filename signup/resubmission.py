"""Forms that are sent again: customers press Back, correct something, and submit the form once more.

With the same values, it leads to the account that the form created. Changed values are applied to that account until
it is sent to Constant Contact. After that, the customer is told what was sent and where it can be changed. No change is
dropped silently, and no second account is created unless the customer asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from provisioning import rules, services
from provisioning.models import Account, IllegalMove, MovedMeanwhile
from signup import abuse, own_accounts
from signup.brand.context_processors import brand_of
from signup.fields import LABELS
from signup.forms import SignupForm
from signup.progress import help_address

SECOND = "second"
"""The code of the error for what looks like a second sign-up, and the name of the input that confirms it."""

EMPTY = "-"
"""Stands for an empty value."""


def sent_before(request: HttpRequest, form: SignupForm) -> Account | None:
    """Return this browser's account with that username, even if it was sent from another copy of the form."""
    return own_accounts.sent_and_not_closed(request).filter(username__iexact=form.cleaned_data["username"]).first()


def check_second(request: HttpRequest, form: SignupForm) -> None:
    """Raise ValidationError if a new form looks like a correction of a sign-up that this browser has already sent."""
    if SECOND in form.data or Account.objects.filter(submission=form.submission).exists():
        return
    for account in own_accounts.sent_and_not_closed(request):
        if _is_alike(account, form.cleaned_data):
            link = format_html('<a href="{}">{}</a>', reverse("progress", args=[account.reference]), account.username)
            known = format_html(
                _("You have already signed up in this browser. To change that sign-up, open the page of {}."), link
            )
            again = _("To create a second account, enter the password again and send this form.")
            raise ValidationError(format_html("{} {}", known, again), code=SECOND)


def answer(request: HttpRequest, form: SignupForm, account: Account) -> HttpResponse:
    """Apply the changes in a form that was sent before, and redirect to its account.

    Raises ValidationError if a changed value can't be used.
    """
    changes = services.differences(account, form.cleaned_data)
    page = reverse("progress", args=[account.reference])
    if account.erased_at:
        return redirect(page)
    if account.state == Account.State.CLOSED or not changes:
        is_password_known = account.state != Account.State.CREATED or account.idp_provider_id
        return redirect(page if is_password_known else f"{page}?sent=before")
    return change(request, account, changes)


def change(request: HttpRequest, account: Account, changes: dict[str, Any]) -> HttpResponse:
    """Apply the changes and redirect to the account's page, or explain that they come too late.

    Raises ValidationError if a changed value can't be used.
    """
    page = reverse("progress", args=[account.reference])
    if services.is_changeable(account):
        email = changes.get("email", account.email)
        hold = abuse.check_correction(account, request, email)
        with suppress(IllegalMove, MovedMeanwhile):  # A worker may have been faster.
            services.change(account, changes, hold=hold)
            changed = redirect(f"{page}?{urlencode({'changed': ','.join(changes)})}")
            own_accounts.add(request, account, changed, opened_from=email)
            return changed
        account.refresh_from_db()
    context = {
        "account": account,
        "rows": list(_compare(account, changes)),
        "help_address": help_address(brand_of(request).support_url, account),
    }
    return render(request, "signup/sent_before.html", context, status=409)


def note(request: HttpRequest) -> str:
    """Return the account page's note about the form that led there."""
    changed = [str(LABELS[name]) for name in request.GET.get("changed", "").split(",") if name in LABELS]
    if changed:
        return _("Changed: %(names)s. Your account will be created with what you entered last.") % {
            "names": ", ".join(changed)
        }
    if request.GET.get("sent") == "before":
        return _("You already sent this form. Your password is the one you chose the first time.")
    return ""


def _is_alike(account: Account, values: dict[str, Any]) -> bool:
    """Whether both belong to the same person or business. A correction leaves most values unchanged."""
    return (
        rules.mailbox(account.email) == rules.mailbox(values["email"])
        or account.organization_name.casefold() == values["organization_name"].casefold()
        or account.phone == values["phone"]
    )


def _compare(account: Account, changes: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the label, the value sent, and the value entered now of each property, in the order of the form."""
    for name in rules.CUSTOMER_PROPERTIES:
        if name == "password" and name in changes:
            yield str(LABELS[name]), _("The one you chose first"), _("Another one")
        elif name in changes:
            yield str(LABELS[name]), _in_words(name, getattr(account, name)), _in_words(name, changes[name])


def _in_words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if name == "country_code":
        return rules.country_name(value)
    if name == "state_code":
        return next((states[value] for country in ("US", "CA") if value in (states := rules.states(country))), EMPTY)
    return value or EMPTY
