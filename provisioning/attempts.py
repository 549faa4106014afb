"""Attempts: the evidence of every call made for an account, and of every look-up."""

from __future__ import annotations

import re
from typing import Any

from django.db import models
from django.db.models.functions import Now

from provisioning.rules import RULES


class Attempt(models.Model):
    """Evidence: one call to create the account, or what a pass over the partner's list showed. Never edited.

    A call is recorded before it is made, and completed once. A look-up is recorded when it is settled, with the time
    when its pass started: the calls of a pass serve all accounts.
    """

    class Kind(models.TextChoices):
        CREATE = "create", "Create the account"
        LOOK_UP = "look_up", "Look for the account"

    class Outcome(models.TextChoices):
        CREATED = "created", "Created"
        REFUSED = "refused", "Values refused"
        TAKEN = "taken", "Username in use"
        UNSENT = "unsent", "Not sent: Constant Contact can't be reached"
        NOT_DONE = "not_done", "Nothing created: not the customer's fault"
        UNUSABLE = "unusable", "Nothing created: unexpected answer"
        UNKNOWN = "unknown", "Unknown: the account may exist"
        FOUND = "found", "Found in your account list"
        ABSENT = "absent", "Not in your account list"
        OTHERS = "others", "Username in use by somebody else"
        DIFFERS = "differs", "In your account list, but may be somebody else's"

    DOUBTFUL = ("", Outcome.UNKNOWN, Outcome.CREATED)
    """Outcomes of a call that may have created an account, as long as the account here is not created."""
    REFUSALS = (Outcome.REFUSED, Outcome.TAKEN)
    """Outcomes of a call in which Constant Contact refused what was entered."""
    REJECTIONS = (*REFUSALS, Outcome.OTHERS)
    """Outcomes that reject an account: these, and a look-up that found its username in use."""
    SENT = {
        "single_billing": "You pay",
        "managed_site_owner": "You can log in",
        "billing_locale": "Billing locale",
        "idp_provider": "Identity provider",
        "partner_account_id": "Partner account ID",
    }
    """Property that the partner adds to a create call → label for staff."""

    account = models.ForeignKey("Account", on_delete=models.CASCADE, related_name="attempts")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    username = models.CharField("username", max_length=RULES["username"].max_length)
    """The username that was sent or looked for; a correction may have changed the account's since."""
    sent = models.JSONField(default=dict)
    """What the partner added to a create call: property → value. It shows who pays and who may log in."""
    outcome = models.CharField(max_length=8, choices=Outcome.choices, blank=True)
    """Empty while the call is in flight, and forever if its worker died; then it counts as unknown."""
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    duration = models.DurationField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    """The HTTP status of the answer; null if there was none."""
    error_key = models.CharField(max_length=255, blank=True)
    error_message = models.TextField(blank=True)
    refused = models.JSONField(default=dict)
    """What was refused: property → Constant Contact's reason."""
    refused_keys = models.JSONField(default=dict)
    """What was refused: property → the key of Constant Contact's error."""
    answer = models.TextField(blank=True)
    """The body of the answer, with secrets masked."""

    class Meta:
        ordering = ("started_at", "pk")
        indexes = [
            models.Index(fields=["outcome", "-started_at"], name="attempt_outcome_started"),
            models.Index(fields=["kind", "-ended_at"], name="attempt_kind_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.get_outcome_display() or '…'}"

    def reasons(self) -> dict[str, str]:
        """Return what was refused, and Constant Contact's reason for each property."""
        return {name: _without_pointer(reason) for name, reason in self.refused.items()}

    @property
    def message(self) -> str:
        """Constant Contact's message, or why there was no answer."""
        return _without_pointer(self.error_message)

    def complete(self, **evidence: Any) -> None:
        """Record the end of the call. Only the first completion counts; later ones change nothing."""
        Attempt.objects.filter(pk=self.pk, ended_at__isnull=True).update(ended_at=Now(), **evidence)


def _without_pointer(message: str) -> str:
    """Return a message without the JSON pointer that it begins with: `#/email: Not valid.` → `Not valid.`"""
    return re.sub(r"^#/\w*:?\s*", "", message)
