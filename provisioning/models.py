"""★ Start here: accounts, their states, and the moves between them, and `Attempt`, the evidence of every call for one.

Each account is created at Constant Contact exactly once, whatever breaks. Three rules ensure that:

- an `Account` is always in one of the states below and moves only as `Account.MOVES` allows, by one conditional UPDATE;
- an `Attempt` is committed before each call to Constant Contact and completed after it, so a crash leaves an attempt
  without an end, never a gap;
- every write by a worker is fenced by its claim: a worker that has lost its claim changes nothing, with one exception:
  the ID and token of a created account are stored however late they arrive.

After an unanswered call, the account is looked up in the partner's list before anything else is done. The list is in
`provisioning.mirror`. Only `provisioning.services` calls the methods here that change state.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Lower, Now
from django.utils.text import capfirst

from provisioning.attempts import Attempt as Attempt
from provisioning.attribution import NAMES, ValueOf, is_given
from provisioning.audit import AuditEntry as AuditEntry
from provisioning.events.models import Delivery as Delivery
from provisioning.events.models import DeliveryAttempt as DeliveryAttempt
from provisioning.events.models import Endpoint as Endpoint
from provisioning.events.models import Event as Event
from provisioning.mirror.models import ListEntry as ListEntry
from provisioning.mirror.models import ListPass as ListPass
from provisioning.notices.models import Incident as Incident
from provisioning.notices.models import Notice as Notice
from provisioning.notices.models import NoticeRule as NoticeRule
from provisioning.operations import Gateway as Gateway
from provisioning.operations import StaffSession as StaffSession
from provisioning.operations import Worker as Worker
from provisioning.preferences import Preferences as Preferences
from provisioning.rules import RULES
from provisioning.sealed import NOTHING, SealedField
from provisioning.signals import moved

log = logging.getLogger(__name__)

UNIQUE_USERNAME = "account_one_living_per_username"
"""A constraint's name. It is in both databases' error messages, because its index is on an expression."""
OVERDUE_AFTER = timedelta(minutes=5)
"""How long an account may be unconfirmed before its customer and staff are told that it takes longer."""
LOST_AFTER = timedelta(hours=1)
"""How long an account may be unconfirmed before it waits for staff."""


class IllegalMove(Exception):
    """Raised for a move that the account's state does not allow."""


class MovedMeanwhile(Exception):
    """Raised when someone else moved or claimed the account first. Read it again to see what happened."""


def _text(name: str, label: str, **options: Any) -> models.CharField[str, str]:
    """Return a column for the vendor's property `name`, as wide as the vendor allows."""
    rule = RULES[name]
    return models.CharField(label, max_length=rule.max_length, blank=not rule.required, **options)


class AccountQuerySet(models.QuerySet["Account"]):
    def due(self) -> Self:
        """Return accounts that need a worker now, by the database's clock, longest overdue first."""
        return self.filter(due_at__lte=Now()).order_by("due_at", "pk")

    def unsendable(self) -> Self:
        """Return queued accounts that were postponed because a worker's settings didn't allow to send them."""
        tried = Attempt.objects.filter(account=OuterRef("pk"), outcome=Attempt.Outcome.NOT_DONE, status=None)
        return self.filter(Exists(tried), state=Account.State.QUEUED, due_at__gt=Now())

    def not_closed(self) -> Self:
        """Return accounts whose username and single sign-on ID are in use: all but closed ones."""
        return self.exclude(state=Account.State.CLOSED)

    def waiting_for_staff(self) -> Self:
        """Return accounts that need staff: held, without a next step, or unconfirmed for an hour."""
        state = Account.State
        lost = Q(due_at=None) | Q(state_changed_at__lte=Now() - LOST_AFTER)
        return self.filter(Q(state=state.HELD) | Q(state=state.QUEUED, due_at=None) | Q(lost, state=state.UNCONFIRMED))


class Account(models.Model):
    """One sign-up and the account it creates. Properties are named as in Constant Contact's v2 API."""

    class State(models.TextChoices):
        HELD = "held", "Held"
        """Waiting for staff to approve or decline it."""
        QUEUED = "queued", "Queued"
        """Waiting for a worker to send it at `due_at`; if that is null, waiting for staff."""
        SENDING = "sending", "Sending"
        """Claimed by a worker until its lease ends at `due_at`; it may already exist at Constant Contact."""
        CREATED = "created", "Created"
        """Constant Contact has created the account; `account_id` is its ID there. Final."""
        REJECTED = "rejected", "Rejected"
        """Constant Contact refused some values. Waiting for a correction; closed at `due_at` without one."""
        UNCONFIRMED = "unconfirmed", "Unconfirmed"
        """It is not known whether it was created. A pass over the partner's list that starts after `due_at` will tell;
        if that is null, it waits for staff, but is still found once it is listed."""
        CLOSED = "closed", "Closed"
        """Declined, never corrected, or closed by staff. Final; the username can be used again here."""

    MOVES: dict[str, frozenset[str]] = {
        State.HELD: frozenset({State.QUEUED, State.CLOSED}),
        State.QUEUED: frozenset({State.SENDING, State.CREATED, State.CLOSED}),
        State.SENDING: frozenset({State.CREATED, State.REJECTED, State.QUEUED, State.UNCONFIRMED}),
        State.UNCONFIRMED: frozenset({State.CREATED, State.QUEUED, State.REJECTED, State.CLOSED}),
        State.REJECTED: frozenset({State.QUEUED, State.HELD, State.CLOSED}),
        State.CREATED: frozenset(),
        State.CLOSED: frozenset(),
    }
    """State → possible next states. Queued → created: the answer to an earlier call arrived late."""
    FINAL = (State.CREATED, State.CLOSED)
    UNDER_WAY = (State.QUEUED, State.SENDING, State.UNCONFIRMED)
    """States that a worker will change."""

    class SettledBy(models.TextChoices):
        ANSWER = "answer", "Constant Contact's answer"
        LIST = "list", "Found in the list of accounts"
        STAFF = "staff", "Staff"

    class DeclineReason(models.TextChoices):
        """Why staff declined a held account. `signup.progress` has the words for customers."""

        DUPLICATE = "duplicate", "Has another account or sign-up"
        NOT_ELIGIBLE = "not_eligible", "Not eligible for this offer"
        WRONG_DETAILS = "details", "Details are wrong or incomplete"
        AUTOMATED = "automated", "Looks automated"
        OTHER = "other", "Another reason"

    reference = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    """The public ID of this sign-up, for URLs and for customers who contact support."""
    submission = models.UUIDField(unique=True, editable=False)
    """The form's one-time ID: the same form sent again returns the same account."""
    state = models.CharField(max_length=12, choices=State.choices)
    due_at = models.DateTimeField(null=True, editable=False)
    """When this account next needs a worker, by the database's clock; null if it needs none."""
    claim = models.UUIDField(null=True, editable=False)
    """Identifies a worker's claim on this account. Each new claim replaces it, which fences late writes."""

    organization_name = _text("organization_name", "organization")
    website = _text("website", "website")
    country_code = _text("country_code", "country")
    state_code = _text("state_code", "state or province")
    first_name = _text("first_name", "first name")
    last_name = _text("last_name", "last name")
    email = _text("email", "email address")
    phone = _text("phone", "phone")
    username = _text("username", "username")
    password = SealedField("password")
    """Kept, sealed, until the account is created or closed, and wiped by the same UPDATE."""
    gdpr_opt_out = models.BooleanField("no marketing by Constant Contact", default=False)
    idp_provider_id = _text("idp_provider_id", "single sign-on ID", editable=False)
    """With single sign-on, the customer's ID, proven by the partner's identity provider; there is no password then."""
    host = models.CharField("sign-up page", max_length=253, blank=True, editable=False)
    """The host name that the form was sent to; it determines the brand."""
    language = models.CharField(max_length=16, blank=True, editable=False)
    """The code of the language that the customer used; empty if it is not known."""

    billing_locale = _text("billing_locale", "billing currency", editable=False)
    """Which currency the account is billed in; empty for that of the settings."""
    partner_account_id = _text("partner_account_id", "partner account ID", editable=False, default="", db_default="")
    """The partner's own ID for the account, sent instead of that of the settings; empty if they gave none."""
    attribution = models.JSONField(default=dict, db_default={}, editable=False)
    """Where the sign-up came from: name → value, as `provisioning.attribution` cleans them."""

    account_id = models.CharField("account ID", max_length=80, blank=True, editable=False)
    """Constant Contact's ID for the account (v2 `id`, v3 `encoded_account_id`), unique."""
    settled_by = models.CharField(max_length=6, choices=SettledBy.choices, blank=True, editable=False)
    """How we learned that the account exists; empty until it is created."""
    oauth2_token = SealedField()
    """The access token returned with the account, if one was requested. Valid for ten years."""

    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        verbose_name="assigned to",
        related_name="+",
    )
    """The staff member who takes care of it."""
    decline_reason = models.CharField(max_length=12, choices=DeclineReason.choices, blank=True, editable=False)
    decline_note = models.CharField(max_length=500, blank=True, editable=False)
    """What staff added to the reason, for the customer to read."""

    submitted_at = models.DateTimeField("date of sign-up", db_default=Now(), editable=False)
    state_changed_at = models.DateTimeField(db_default=Now(), editable=False)
    created_at = models.DateTimeField(null=True, editable=False)
    """When we learned that Constant Contact had created the account."""
    erased_at = models.DateTimeField(null=True, editable=False)
    """When the personal data was erased."""

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ("-submitted_at",)
        permissions = [
            ("approve_account", "Can approve held accounts"),
            ("decline_account", "Can decline held accounts"),
            ("retry_account", "Can retry accounts"),
            ("look_up_account", "Can look up accounts at Constant Contact"),
            ("correct_account", "Can correct rejected accounts"),
            ("close_account", "Can close accounts"),
            ("export_account", "Can export accounts"),
            ("erase_account", "Can erase the personal data of accounts"),
            ("reveal_oauth2_token", "Can see access tokens"),
            ("wipe_oauth2_token", "Can wipe access tokens"),
            ("assign_account", "Can assign accounts to staff"),
            ("note_account", "Can write notes on accounts"),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="account_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["state", "-submitted_at"], name="account_state_submitted"),
            models.Index(fields=["-submitted_at"], name="account_submitted"),
            models.Index(fields=["idp_provider_id"], name="account_idp_provider_id"),
            models.Index(Lower("email"), name="account_email"),
            models.Index(Lower("username"), name="account_username"),
            models.Index(fields=["country_code", "-submitted_at"], name="account_country_submitted"),
            models.Index(fields=["host", "-submitted_at"], name="account_host_submitted"),
            models.Index(fields=["submitted_at"], name="account_unerased", condition=Q(erased_at__isnull=True)),
            *(
                models.Index(ValueOf(name), F("submitted_at").desc(), name=f"account_{name}", condition=is_given(name))
                for name in NAMES
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="account_created_has_account_id",
                condition=(Q(state="created") & ~Q(account_id="")) | (~Q(state="created") & Q(account_id="")),
            ),
            models.CheckConstraint(
                name="account_final_has_no_password",
                condition=~Q(state__in=["created", "closed"]) | Q(password=NOTHING),
            ),
            models.UniqueConstraint(
                fields=["account_id"], name="account_one_per_account_id", condition=~Q(account_id="")
            ),
            models.UniqueConstraint(Lower("username"), name=UNIQUE_USERNAME, condition=~Q(state="closed")),
            models.UniqueConstraint(
                fields=["idp_provider_id"],
                name="account_one_living_per_idp_provider_id",
                condition=~Q(state="closed") & ~Q(idp_provider_id=""),
            ),
            models.CheckConstraint(
                name="account_has_no_password_with_single_sign_on",
                condition=Q(idp_provider_id="") | Q(password=NOTHING),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization_name} ({self.username})"

    @property
    def short_reference(self) -> str:
        """The beginning of the reference, which customers can read out and staff can search for."""
        digits = self.reference.hex[:8].upper()
        return f"{digits[:4]}-{digits[4:]}"

    @classmethod
    def label(cls, name: str) -> str:
        """Return the label of a property, with a capital letter."""
        return capfirst(str(cls._meta.get_field(name).verbose_name))  # type: ignore[union-attr]

    def require_state(self, state: State) -> None:
        """Raise IllegalMove unless this instance was in that state when it was read."""
        if self.state != state:
            raise IllegalMove(f"This works only for accounts that are {state}; this one is {self.state}.")

    def move(self, to: State, *, due_in: timedelta | None = None, **changes: Any) -> None:
        """Move to the state `to`, if `MOVES` allows it and the row's state and claim are unchanged since it was read.

        This is the only way to change a state: one conditional UPDATE, together with `changes` to other columns, with
        times by the database's clock. `due_in` is when a worker should next see the account; None means never. Final
        states wipe the password. This instance is not updated. Raises IllegalMove, or MovedMeanwhile if the row has
        changed; then nothing is written.
        """
        if to not in self.MOVES[self.state]:
            raise IllegalMove(f"{self.state} → {to}")
        if to in self.FINAL:
            changes["password"] = NOTHING
        if to == self.State.CREATED:
            changes["created_at"] = Now()
        self._update(due_in, state=to, state_changed_at=Now(), **changes)
        log.info("account moved reference=%s from=%s to=%s", self.reference, self.state, to)
        moved.send(Account, account=self, to=to)

    def unanswered(self) -> models.QuerySet[Attempt]:
        """Return the calls under the current username that may have created the account, oldest first.

        They include a call that created it but whose answer came too late to be applied. If a look-up found that
        someone else has the username, no call before it created the account.
        """
        # Erasing empties usernames. Then all calls count: a username can't change while a call under it is unanswered.
        same_name = {} if self.erased_at else {"username__iexact": self.username}
        under_this_name = self.attempts.filter(**same_name)
        others = under_this_name.filter(outcome=Attempt.Outcome.OTHERS).order_by("pk").last()
        doubtful = under_this_name.filter(kind=Attempt.Kind.CREATE, outcome__in=Attempt.DOUBTFUL)
        return (doubtful.filter(pk__gt=others.pk) if others else doubtful).order_by("pk")

    def last_rejection(self) -> Attempt | None:
        """Return the call or look-up that rejected the account last; None if none has."""
        return self.attempts.filter(outcome__in=Attempt.REJECTIONS).last()

    def reschedule(self, *, due_in: timedelta | None, claim: uuid.UUID | None = None) -> None:
        """Change when a worker next sees the account, without a move. `claim`, if given, replaces the current claim.

        Raises MovedMeanwhile if the row has changed.
        """
        self._update(due_in, claim=claim or self.claim)

    def revise(self, **changes: Any) -> None:
        """Change values without a move; the account keeps its place in the queue.

        Raises MovedMeanwhile if the row has changed: a worker that claimed it meanwhile sends the values it read.
        """
        self._write(**changes)
        log.info("account revised reference=%s properties=%s", self.reference, ",".join(sorted(changes)))

    def _update(self, due_in: timedelta | None, **changes: Any) -> None:
        self._write(due_at=None if due_in is None else Now() + due_in, **changes)

    def _write(self, **columns: Any) -> None:
        as_read = Account.objects.filter(pk=self.pk, state=self.state, claim=self.claim)
        if as_read.update(**columns) != 1:
            raise MovedMeanwhile(f"{self.reference} is no longer {self.state}")
