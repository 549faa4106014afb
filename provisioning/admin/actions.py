"""What staff can do to an account, as one table. The doing itself, and every judgement of it, is `services`'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest

from provisioning import services
from provisioning.admin_site import record
from provisioning.models import Account

State = Account.State


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing that staff do. What has a `warning` asks for confirmation first.

    What is `grave` takes fresh proof of who they are. `doubt` is added where one of the accounts may exist at Constant
    Contact. `given` narrows down the accounts in `states` that it is for.
    """

    name: str
    label: str
    done: str
    states: frozenset[str]
    service: Callable[[Account], None]
    condition: Callable[[Account], bool] = lambda account: True
    warning: str = ""
    doubt: str = ""
    codename: str = ""
    needs_proof: bool = False

    @property
    def permission(self) -> str:
        return f"provisioning.{self.codename or f'{self.name}_account'}"

    @property
    def url(self) -> str:
        return f"admin:provisioning_account_{self.name}"

    def is_for(self, account: Account) -> bool:
        """Whether it can be offered for an account as it is."""
        return account.state in self.states and self.condition(account)

    def carry_out(self, account: Account, request: HttpRequest) -> None:
        """Do it and record who did it. Raises as the action of `services` does; then nothing has happened."""
        with transaction.atomic():
            self.service(account)
            account.refresh_from_db()  # So that the record of an erasure does not bring the name back.
            record(request, account, str(self.done))


DOUBT = (
    "An account marked below may exist at Constant Contact, because a call for it was never answered. Nothing here will"
    " find out any more: look for its username in your list of accounts there, and cancel it if you don't want it."
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
        label="Look for it now",
        done="Had it looked for",
        states=frozenset({State.UNCONFIRMED}),
        service=services.look_up,
    ),
    Action(
        name="retry",
        label="Send again now",
        done="Sent again",
        states=frozenset({State.QUEUED, State.REJECTED, State.UNCONFIRMED}),
        condition=services.may_retry,
        service=services.retry,
    ),
    Action(
        name="decline",
        label="Decline",
        done="Declined",
        states=frozenset({State.HELD}),
        service=services.decline,
        warning="It is given up for good and its password is wiped. The customer would have to sign up anew.",
    ),
    Action(
        name="close",
        label="Give up",
        done="Given up",
        states=frozenset({State.QUEUED, State.REJECTED, State.UNCONFIRMED}),
        service=services.close,
        warning="It is given up for good and its password is wiped. The customer would have to sign up anew.",
        doubt=DOUBT,
    ),
    Action(
        name="wipe_token",
        codename="wipe_oauth2_token",
        label="Wipe the access token",
        done="Access token wiped",
        states=frozenset({State.CREATED}),
        condition=lambda account: bool(account.oauth2_token),
        service=services.wipe_token,
        warning="Constant Contact gives it out only once: wiped here, it is gone for good.",
    ),
    Action(
        name="erase",
        label="Erase personal data",
        done="Personal data erased",
        states=frozenset(State) - {State.SENDING},
        condition=lambda account: account.erased_at is None,
        service=services.erase,
        needs_proof=True,
        warning=(
            "Names, addresses and secrets are erased here for good; what was not created yet is given up."
            " An account at Constant Contact is not touched: that is to be closed there."
        ),
        doubt=DOUBT,
    ),
)
"""In the order in which they are offered: first what is done most, last what cannot be undone."""


def offered(account: Account, request: HttpRequest) -> list[Action]:
    """What this member of staff can do to this account now."""
    return [action for action in ACTIONS if request.user.has_perm(action.permission) and action.is_for(account)]
