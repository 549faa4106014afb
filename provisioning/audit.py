"""The audit trail: what staff and customers did to which account, and what it changed. For workers, see `Attempt`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models.functions import Now

from provisioning.rules import RULES

MASKED = "•••"
"""Replaces secrets, and values that were erased."""
NOTED, ASSIGNED, SIGNED_UP = "Note added", "Assigned", "Signed up through the API"


class AuditEntry(models.Model):
    """One thing that staff or a customer did. Never edited, except that erasing an account masks its values."""

    account = models.ForeignKey("Account", on_delete=models.CASCADE, null=True, related_name="audit_entries")
    """Null if the action concerns many accounts, like an export."""
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, verbose_name="staff", related_name="+"
    )
    """The staff member; null if it was the customer or an `agent`."""
    agent = models.CharField(max_length=120, blank=True, db_default="")
    """The name of an API key, if neither staff nor the customer acted."""
    at = models.DateTimeField("time", db_default=Now(), db_index=True)
    what = models.CharField(max_length=80, db_index=True)
    detail = models.CharField(max_length=255, blank=True)
    """Contains no personal data and no secrets."""
    changes = models.JSONField(default=dict)
    """Property → value before and value after."""
    note = models.TextField(blank=True, max_length=2000)
    """What staff wrote for their colleagues. It may be personal."""

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ("-at", "-pk")

    def __str__(self) -> str:
        return f"{self.what} by {self.who}"

    @property
    def who(self) -> str:
        return name_of(self.user) if self.user else self.agent or "the customer"

    def mask(self) -> None:
        """Erase the values, but keep the names of the properties that changed."""
        masked = {name: [MASKED, MASKED] for name in self.changes}
        AuditEntry.objects.filter(pk=self.pk).update(changes=masked, note=self.note and MASKED)


def name_of(user: AbstractBaseUser) -> str:
    """Return the name of a staff member for their colleagues."""
    return user.get_full_name() or user.get_username()  # type: ignore[attr-defined]


def changes(before: object, after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the audit entry's `changes` for new values `after` of the account `before`, with secrets masked."""
    return {
        name: [MASKED, MASKED] if RULES[name].is_secret else [getattr(before, name), value]
        for name, value in after.items()
        if RULES[name].is_secret or getattr(before, name) != value
    }
