"""The tables of emails to customers: what is scheduled, and what was sent."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from provisioning.models import Account


class EmailEvent(models.TextChoices):
    """Events that customers get an email about: new states, and a reminder."""

    CREATED = Account.State.CREATED.value, "Account ready"
    REJECTED = Account.State.REJECTED.value, "Correction needed"
    REMINDER = "reminder", "Correction reminder"
    CLOSED = Account.State.CLOSED.value, "Sign-up declined"


class Mail(models.Model):
    """The next email to one customer, or the last one if none is scheduled.

    Only this model and `SentMail` say mail. Renaming a model renames its permissions, too, and while servers are
    updated one by one, the previous release still asks for the old ones.
    """

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="+")
    origin = models.URLField()
    """Where the customer signed up, like `https://signup.example.com/`. The link in the email leads there."""
    area = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    """An HMAC of the area that the sign-up came from, which doesn't reveal it; empty if it is unknown or by API."""
    event = models.CharField(max_length=12, choices=EmailEvent.choices, blank=True)
    """What the email is about; empty until there is something to tell."""
    due_at = models.DateTimeField(null=True)
    """When to send it, by the database's clock, or when a worker's claim ends; null if none is scheduled, or from the
    moment it is handed to the mail server."""
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=255, blank=True)
    """Why the last try failed."""

    class Meta:
        verbose_name = "email"
        indexes = [models.Index(fields=["due_at"], name="mail_due", condition=models.Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.account}: {self.get_event_display()}"


class SentMail(models.Model):
    """The record of one email that was sent, or that failed for good. Never edited."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sent_emails")
    event = models.CharField(max_length=12, choices=EmailEvent.choices)
    at = models.DateTimeField(db_default=Now())
    problem = models.CharField(max_length=255, blank=True)
    """Why it may not have been sent; empty if the mail server took it."""

    class Meta:
        ordering = ("at", "pk")

    def __str__(self) -> str:
        return f"{self.account}: {self.get_event_display()}"
