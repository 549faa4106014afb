"""The tables of single sign-on: links that were followed, and staff of the identity provider."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models


class UsedLink(models.Model):
    """A signed link that has been followed. It works once, so it is kept until it expires."""

    digest = models.CharField(max_length=64, unique=True)
    """The SHA-256 of the token's ID (`jti`)."""
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.digest[:8]}… {self.expires_at:%H:%M}"


class StaffIdentity(models.Model):
    """The identity by which a staff member who logs in through the identity provider is recognized."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="identity")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    """The claim `sub`, which an issuer gives to only one person."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="staff_identity_is_one_user")]

    def __str__(self) -> str:
        return f"{self.user}"
