"""API keys, and which sign-up each request to create one led to."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from provisioning.models import Account
from provisioning.networks import read_network
from signup.brand.models import Brand


class Scope(models.TextChoices):
    """What a key may be used for."""

    CREATE = "create", "Create sign-ups"
    READ = "read", "Read sign-ups, with customers' data"
    CORRECT = "correct", "Correct rejected sign-ups"
    STAFF = "staff", "Act as staff: approve, decline, retry, look up, close"


def validate_networks(text: str) -> None:
    """Raise ValidationError unless these are addresses or networks, separated by blanks or line ends."""
    for written in text.split():
        try:
            read_network(written)
        except ValueError:
            raise ValidationError(
                "Enter addresses like 203.0.113.8, or networks like 203.0.113.0/24, one per line.", code="network"
            ) from None


are_networks = validate_networks  # Its name in migrations.


class ApiKey(models.Model):
    """A key with which one of the partner's systems uses the API. The key itself is shown once and not stored."""

    name = models.CharField(
        max_length=80, help_text="Which of your systems uses this key. Your staff read it in the audit trail."
    )
    prefix = models.CharField("begins with", max_length=16, unique=True, editable=False)
    """The first part of the key, by which staff recognize it."""
    digest = models.CharField(max_length=64, editable=False)
    """The SHA-256 of the key. A slow hash protects what people choose; 256 random bits can't be guessed anyway, and
    every request has to be answered quickly."""
    namespace = models.UUIDField(default=uuid.uuid4, editable=False)
    """Secret: whoever knew it could compute the one-time IDs of this key's sign-ups."""
    scopes = models.JSONField(default=list)
    brand = models.ForeignKey(
        Brand,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The key creates and sees only this brand's sign-ups. If empty, it works for all brands.",
    )
    networks = models.TextField(
        "allowed networks",
        blank=True,
        max_length=2000,
        validators=[validate_networks],
        help_text="Addresses or networks that may use the key, one per line. If empty, it works from anywhere.",
    )
    expires_at = models.DateTimeField(
        "expires", null=True, blank=True, help_text="If empty, the key works until it is revoked."
    )
    created_at = models.DateTimeField("created", db_default=Now(), editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        verbose_name="created by",
        related_name="+",
    )
    """The staff member; null if it was created on the command line."""
    last_used_at = models.DateTimeField("last used", null=True, editable=False)
    """Written at most once a minute."""
    revoked_at = models.DateTimeField("revoked", null=True, editable=False)

    class Meta:
        verbose_name = "API key"
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def __repr__(self) -> str:
        return f"<ApiKey {self.prefix}>"

    @property
    def state(self) -> str:
        """One of active, expired, revoked."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.has_expired(timezone.now()) else "active"

    @property
    def creator_has_left(self) -> bool:
        """Whether the staff member who created the key, and so has seen it, can't log in any more."""
        return self.created_by is not None and not (self.created_by.is_active and self.created_by.is_staff)

    @property
    def agent(self) -> str:
        """The name of the key in the audit trail."""
        return f"API key {self}"

    def has_expired(self, at: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at

    def accounts(self) -> models.QuerySet[Account]:
        """Return the sign-ups that this key may see."""
        if self.brand is None:
            return Account.objects.all()
        if self.brand.host:
            return Account.objects.filter(host=self.brand.host)
        others = Brand.objects.exclude(host="").values("host")  # The default brand has all other hosts.
        return Account.objects.exclude(host__in=others)


class ApiSignup(models.Model):
    """A sign-up that came through the API: by which key, and a fingerprint of what was asked for."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="api_signup")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="signups")
    fingerprint = models.CharField(max_length=80, blank=True)
    """An HMAC of the request's body without the password, which tells whether the same request comes again. Wiped when
    the account is erased."""
    password_fingerprint = models.CharField(max_length=64, blank=True, db_default="")
    """An HMAC of the password. Wiped when the password is: when the account is created or closed."""

    def __str__(self) -> str:
        return f"{self.account} by {self.key}"
