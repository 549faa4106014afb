"""The sign-up page's own tables: visits for rate limits, emails to customers, the state of single sign-on, API keys."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from provisioning.models import Account
from signup.api.models import ApiKey as ApiKey
from signup.api.models import ApiSignup as ApiSignup
from signup.brand.models import Brand as Brand
from signup.legal.models import Agreement as Agreement
from signup.legal.models import LegalText as LegalText
from signup.single_sign_on.models import StaffIdentity as StaffIdentity
from signup.single_sign_on.models import UsedLink as UsedLink


class Visit(models.Model):
    """One form that was sent, as it counts against one limit."""

    key = models.CharField(max_length=64)
    """An HMAC of the limit's source, such as a network or a mailbox, which it doesn't reveal."""
    submission = models.UUIDField()
    """The form's one-time ID. A form that is sent several times counts once."""
    at = models.DateTimeField(db_default=Now())

    class Meta:
        # Every sign-up adds rows while others wait for it, so there is only this one index.
        indexes = [models.Index(fields=["key", "at"], name="visit_key_at")]

    def __str__(self) -> str:
        return f"{self.key[:8]}… {self.at:%H:%M}"


class Burst(models.Model):
    """An abnormal time, in which sign-ups that look alike are held for staff. There is one at a time."""

    started_at = models.DateTimeField(db_default=Now())
    held_at = models.DateTimeField(db_default=Now())
    """When something was last held."""
    is_over = models.BooleanField(default=False)
    is_beginning_told = models.BooleanField(default=False)
    is_end_told = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["is_over"], condition=models.Q(is_over=False), name="one_burst_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


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


class Diagnosis(models.Model):
    """The last result of `manage.py doctor`."""

    at = models.DateTimeField(db_default=Now())
    findings = models.JSONField()
    """A list of `signup.doctor.Finding`s."""

    class Meta:
        verbose_name_plural = "diagnoses"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} UTC"
