from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from provisioning.models import Account


class MailEvent(models.TextChoices):
    """Events that customers get an email about: new states, and a reminder."""

    CREATED = Account.State.CREATED.value, "Account ready"
    REJECTED = Account.State.REJECTED.value, "Correction needed"
    REMINDER = "reminder", "Correction reminder"
    CLOSED = Account.State.CLOSED.value, "Sign-up declined"


class Mail(models.Model):
    """The next email to one customer, or the last one if none is scheduled."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="mail")
    origin = models.URLField()
    """Where the customer signed up, like `https://signup.example.com/`. The link in the email leads there."""
    area = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    """An HMAC of the area that the sign-up came from, which doesn't reveal it; empty if it is unknown or by API."""
    event = models.CharField(max_length=12, choices=MailEvent.choices, blank=True)
    """What the email is about; empty until there is something to tell."""
    due_at = models.DateTimeField(null=True)
    """When to send it, by the database's clock; null if no email is scheduled or a worker has claimed it."""
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

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sent_mails")
    event = models.CharField(max_length=12, choices=MailEvent.choices)
    at = models.DateTimeField(db_default=Now())
    problem = models.CharField(max_length=255, blank=True)
    """Why it may not have been sent; empty if the mail server took it."""

    class Meta:
        ordering = ("at", "pk")

    def __str__(self) -> str:
        return f"{self.account}: {self.get_event_display()}"
