"""Staff's actions on accounts, as one table. Each action calls a function of `services`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest

from provisioning import services
from provisioning.admin_site import record
from provisioning.audit import ASSIGNED, name_of
from provisioning.models import Account

State = Account.State


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing that staff can do.

    An action with a `warning` asks for confirmation first, under a `title` that names the account. `doubt` is added to
    the warning if one of the accounts may exist at Constant Contact. `form` asks for what `service` needs besides the
    account, and `describe` says it in the record. With `needs_reauthentication`, staff must confirm that it's them.
    `condition` narrows down the accounts in `states` that the action applies to. `codename` is the permission's, if it
    differs from the name.
    """

    name: str
    label: str
    done: str
    states: frozenset[str]
    service: Callable[..., None]
    form: type[forms.Form] = forms.Form
    condition: Callable[[Account], bool] = lambda account: True
    describe: Callable[[Account, Mapping[str, Any]], str] = lambda account, values: ""
    title: str = ""
    """The heading of its page, if it has one; `{}` is the account, or how many there are."""
    warning: str = ""
    doubt: str = ""
    codename: str = ""
    needs_reauthentication: bool = False

    @property
    def permission(self) -> str:
        return f"provisioning.{self.codename or f'{self.name}_account'}"

    @property
    def url(self) -> str:
        return f"admin:provisioning_account_{self.name}"

    @property
    def asks(self) -> bool:
        """Whether it has a page of its own, for confirmation or for its form."""
        return bool(self.warning or self.form.base_fields)

    def is_for(self, account: Account) -> bool:
        """Whether the action can be offered for an account as it is now."""
        return account.state in self.states and self.condition(account)

    def carry_out(self, account: Account, request: HttpRequest, values: Mapping[str, Any]) -> str:
        """Carry out the action, record who did it, and return what was done. `values` are the cleaned data of `form`.

        If `service` raises an exception, it is passed on, and nothing is changed or recorded.
        """
        detail = self.describe(account, values)
        self.perform(account, values, lambda: record(request, account, self.done, detail))
        return f"{self.done} {detail}".strip()

    def perform(self, account: Account, values: Mapping[str, Any], record_it: Callable[[], object]) -> None:
        """Carry out the action and record it in one transaction."""
        with transaction.atomic():
            self.service(account, **values)
            account.refresh_from_db()  # Otherwise, the record of an erasure would hold the erased name.
            record_it()


class DeclineForm(forms.Form):
    """The reason for declining accounts, which customers read on their page and in an email."""

    reason = forms.ChoiceField(
        label="Reason",
        choices=[("", "Choose one"), *Account.DeclineReason.choices],
        help_text="Customers read it in their own language.",
    )
    note = forms.CharField(
        label="Note to the customer",
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="Customers read it as you write it. It is erased with their data.",
    )

    def clean(self) -> None:
        if self.cleaned_data.get("reason") == Account.DeclineReason.OTHER and not self.cleaned_data.get("note"):
            self.add_error("note", "Write the reason here, or choose another one above.")


class StaffField(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """A choice of one active staff member, or of nobody."""

    def __init__(self, **options: Any) -> None:
        active = User.objects.filter(is_active=True, is_staff=True)
        super().__init__(
            active.order_by("first_name", "last_name", "username"), required=False, empty_label="Nobody", **options
        )

    def label_from_instance(self, user: Any) -> str:
        return name_of(user)


class AssignForm(forms.Form):
    """The staff member to assign accounts to."""

    assignee = StaffField(
        label="Assign to",
        help_text="They find it with the filter Assigned to: Mine. They get no notice, and others can still act on it.",
    )


def _assignment(account: Account, values: Mapping[str, Any]) -> str:
    """Say who gets an account, and who had it: a colleague may have taken it a moment ago."""
    to, before = values["assignee"], account.assignee
    instead = f" instead of {name_of(before)}" if before and before != to else ""
    return f"to {name_of(to) if to else 'nobody'}{instead}"


DOUBT = (
    "An account marked below may exist at Constant Contact because a call for it was never answered. After this step,"
    " we stop looking for it. Check your account list there for its username, and cancel the account if you don't"
    " want it."
)

ACTIONS = (
    Action(
        name="approve",
        label="Approve",
        done="Approved",
        states=frozenset({State.HELD}),
        service=services.approve,
    ),
    Action(
        name="look_up",
        label="Look up now",
        done="Look-up requested",
        states=frozenset({State.UNCONFIRMED}),
        service=services.look_up,
    ),
    Action(
        name="retry",
        label="Retry now",
        done="Queued for retry",
        states=frozenset({State.QUEUED, State.REJECTED, State.UNCONFIRMED}),
        condition=services.may_retry,
        service=services.retry,
    ),
    Action(
        name="assign",
        label="Assign",
        done=ASSIGNED,
        states=frozenset(State),
        service=services.assign,
        title="Assign {}",
        form=AssignForm,
        describe=_assignment,
    ),
    Action(
        name="decline",
        label="Decline",
        done="Declined",
        states=frozenset({State.HELD}),
        service=services.decline,
        form=DeclineForm,
        title="Decline {}?",
        warning="Declining is for good, and wipes the password. The customer would have to sign up again.",
        doubt=DOUBT,
    ),
    Action(
        name="close",
        label="Close",
        done="Closed",
        states=frozenset({State.QUEUED, State.REJECTED, State.UNCONFIRMED}),
        service=services.close,
        title="Close {}?",
        warning="Closing is for good, and wipes the password. The customer would have to sign up again.",
        doubt=DOUBT,
    ),
    Action(
        name="wipe_token",
        codename="wipe_oauth2_token",
        label="Wipe access token",
        done="Access token wiped",
        states=frozenset({State.CREATED}),
        condition=lambda account: bool(account.oauth2_token),
        service=services.wipe_token,
        title="Wipe the access token of {}?",
        warning=(
            "The token lets you act in the customer's account. Constant Contact issues it only once: when you wipe it"
            " here, it is gone for good. The account stays as it is, and the customer notices nothing."
        ),
    ),
    Action(
        name="erase",
        label="Erase personal data",
        done="Personal data erased",
        states=services.ERASABLE,
        condition=lambda account: account.erased_at is None,
        service=services.erase,
        title="Erase the personal data of {}?",
        needs_reauthentication=True,
        warning=(
            "This erases names, addresses, and secrets here for good, and closes an account that is not created yet."
            " An account at Constant Contact stays: close it there."
        ),
        doubt=DOUBT,
    ),
)
"""In the order in which they are offered: the most common first, those that can't be undone last."""


def offered(account: Account, request: HttpRequest) -> list[Action]:
    """Return the actions that this staff member can take on this account now."""
    return [action for action in ACTIONS if request.user.has_perm(action.permission) and action.is_for(account)]
