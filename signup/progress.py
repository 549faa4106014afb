"""The texts of the progress page, by an account's state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.utils import timezone
from django.utils.timesince import timeuntil
from django.utils.translation import gettext_lazy as _

from provisioning import services
from provisioning.models import OVERDUE_AFTER, Account
from provisioning.rules.rule import Text

PATIENCE = timedelta(seconds=30)
"""After this time, the page tells the customer that it is taking longer than usual."""

MAX_PAUSE = 300
"""Seconds. Ten thousand customers who wait for tomorrow's quota then make 33 requests a second."""

RECEIVED, CREATING, READY = _("Received"), _("Creating"), _("Ready")
NEEDS_YOU = _("Your turn")
"""Replaces "Creating" while only the customer can get the sign-up moving again."""


@dataclass(frozen=True)
class Stage:
    """What the page says at one point of a sign-up.

    `step` is the index of the current step in `steps`; past the last one, everything is done. `reload_every` is the
    number of seconds after which a page without JavaScript reloads; 0 if waiting changes nothing.
    """

    heading: Text
    text: Text
    step: int = 1
    reload_every: int = 0
    needs_customer: bool = False

    @property
    def steps(self) -> tuple[Text, Text, Text]:
        return RECEIVED, NEEDS_YOU if self.needs_customer else CREATING, READY

    @property
    def takes_long(self) -> bool:
        """Whether it takes so long that the customer may as well leave the page."""
        return self.reload_every >= 10


STAGES: dict[str, Stage] = {
    Account.State.HELD: Stage(
        _("We have received your sign-up"),
        _(
            "We will review it before your account is created. You don't need to do anything. If you don't hear from "
            "us within a day, contact us with the reference below."
        ),
        step=0,
        reload_every=30,
    ),
    Account.State.QUEUED: Stage(
        _("We are creating your account"),
        _("This takes a few seconds. This page updates automatically."),
        reload_every=3,
    ),
    Account.State.SENDING: Stage(
        _("We are creating your account"),
        _("This takes a few seconds. This page updates automatically."),
        reload_every=3,
    ),
    Account.State.UNCONFIRMED: Stage(
        _("We are making sure your account was created"),
        _(
            "Constant Contact has not confirmed your account yet. We check before trying again, so you don't end up "
            "with two. This can take a few minutes."
        ),
        reload_every=10,
    ),
    Account.State.CREATED: Stage(_("Your account is ready"), "", step=3),
    Account.State.REJECTED: Stage(_("One more thing to fix"), "", needs_customer=True),
    Account.State.CLOSED: Stage(
        _("This sign-up has been closed"), _("No account was created. If you chose a password, it was deleted.")
    ),
}

CLOSED_IN_DOUBT = Stage(
    _("This sign-up has been closed"),
    _(
        "We closed it before we knew whether your account was created. If you get an email from Constant Contact, it "
        "was. If you chose a password, we deleted our copy."
    ),
)
ERASED = Stage(
    _("We have erased your data"),
    _(
        "We no longer have what you entered in this sign-up. If a Constant Contact account was created, it still "
        "exists, and only Constant Contact can change or close it."
    ),
)
DECLINED_STAGE = Stage(_("Your sign-up was declined"), _("If you chose a password, we deleted it."))
DECLINED = _("We looked at your sign-up and can't create an account for it.")
DECLINE_REASONS: dict[str, Text] = {
    Account.DeclineReason.DUPLICATE: _("You already have an account or another sign-up with us."),
    Account.DeclineReason.NOT_ELIGIBLE: _("This offer is not available to your organization."),
    Account.DeclineReason.WRONG_DETAILS: _("Some of what you entered is wrong or incomplete. You can sign up again."),
    Account.DeclineReason.AUTOMATED: _(
        "Your sign-up looks automated. If you filled out the form yourself, contact us."
    ),
    Account.DeclineReason.OTHER: "",
}
REFUSED_FOR_US = Stage(
    _("We need to fix something"),
    _(
        "Constant Contact refused this sign-up, but not because of anything you entered. You don't need to change "
        "anything. Contact us with the reference below, and we will look into it."
    ),
    reload_every=30,
)
DELAYED = Stage(
    _("This is taking longer than usual"),
    _(
        "Your sign-up is saved, and we will send it as soon as Constant Contact accepts it. You don't need to sign up "
        "again."
    ),
    reload_every=10,
)
BY_STAFF: dict[str, Stage] = {
    state: Stage(_("Our team is checking your sign-up"), text, reload_every=30)
    for state, text in {
        Account.State.QUEUED: _(
            "Your account could not be created automatically, so our team is taking care of it. You don't need to sign "
            "up again. If you don't hear from us within a day, contact us with the reference below."
        ),
        Account.State.UNCONFIRMED: _(
            "Constant Contact has not told us whether your account was created, so our team is finding out. You don't "
            "need to sign up again. If you don't hear from us within a day, contact us with the reference below."
        ),
    }.items()
}
"""The stages of an account that waits for staff, by state."""


def help_address(support_url: str, account: Account) -> str:
    """Return the address of the partner's help page, with the `reference` of the account in question."""
    parts = urlsplit(support_url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("reference", account.short_reference)]
    return parts._replace(query=urlencode(query)).geturl() if support_url else ""


def declined(account: Account) -> list[Text]:
    """Return the paragraphs that tell a customer that staff declined the sign-up, and why; empty if they didn't."""
    if not account.decline_reason or account.erased_at:
        return []
    words = (DECLINED, DECLINE_REASONS[account.decline_reason], account.decline_note)
    return [text for text in words if text]


def stage(account: Account) -> Stage:
    """Return what to tell the customer now, and when the page should reload."""
    now = _stage(account)
    return replace(now, reload_every=pause(account, now.reload_every)) if now.reload_every else now


def pause(account: Account, least: int) -> int:
    """Return the seconds until a page should ask again. The longer the wait so far, the longer the pause."""
    waited = timezone.now() - account.state_changed_at
    return max(least, min(MAX_PAUSE, int(waited.total_seconds() / 4)))


def ask_again_in(account: Account) -> int:
    """Return the seconds until a waiting page's script should ask again.

    A held account waits for a person, so its page asks less often from the start.
    """
    return pause(account, STAGES[Account.State.HELD].reload_every if account.state == Account.State.HELD else 1)


def _stage(account: Account) -> Stage:
    if account.erased_at:
        return ERASED
    if account.decline_reason:
        return DECLINED_STAGE
    if account.state == Account.State.CLOSED and services.may_exist(account):
        return CLOSED_IN_DOUBT
    if account.state in BY_STAFF and Account.objects.waiting_for_staff().filter(pk=account.pk).exists():
        return BY_STAFF[account.state]
    if account.state == Account.State.REJECTED and _is_refused_for_us(account):
        return REFUSED_FOR_US
    now = timezone.now()
    if account.state == Account.State.UNCONFIRMED and now - account.state_changed_at > OVERDUE_AFTER:
        return _looked_up(account.due_at)
    is_late = now - account.state_changed_at > PATIENCE
    if account.state == Account.State.QUEUED:
        wait = services.expected_wait(account)
        if wait and wait > PATIENCE and account.due_at and account.due_at <= now:
            return _in_line(wait)
        is_late = is_late or wait is None or wait > PATIENCE
    under_way = account.state in {Account.State.QUEUED, Account.State.SENDING}
    return DELAYED if under_way and is_late else STAGES[account.state]


def _looked_up(due_at: datetime | None) -> Stage:
    """Return the stage of an account that has been unconfirmed for more than a few minutes."""
    now = timezone.now()
    next_look = max(due_at or now, now + timedelta(seconds=61))  # "0 minutes" would say nothing.
    return Stage(
        STAGES[Account.State.UNCONFIRMED].heading,
        _(
            "Constant Contact still has not confirmed your account. We will check again in about %(time)s before we "
            "try again, so you don't end up with two. You don't need to sign up again."
        )
        % {"time": timeuntil(next_look, depth=1)},
        reload_every=30,
    )


def _is_refused_for_us(account: Account) -> bool:
    """Whether Constant Contact refused only values that the partner, not the customer, supplied."""
    reasons = services.refused(account)
    correctable = services.correctable(account, by_customer=True)
    return bool(reasons) and not services.is_username_taken(account) and reasons.keys().isdisjoint(correctable)


def _in_line(wait: timedelta) -> Stage:
    """Return the stage of an account that is sent only after many others, or with a later day's quota."""
    now = timezone.now()
    at = now + max(wait, timedelta(seconds=61))  # "0 minutes" would say nothing.
    return Stage(
        _("You are in line"),
        _(
            "Many people are signing up, and accounts are created one after another. Yours will be created in about "
            "%(time)s. You don't need to sign up again."
        )
        % {"time": timeuntil(at, now, depth=1)},
        step=0,
        reload_every=30,
    )
