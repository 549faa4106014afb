"""Staff members' own preferences."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Preferences(models.Model):
    """A staff member's preferences."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    columns = models.JSONField(default=list)
    """The names of the columns in the list of accounts, in order."""

    def __str__(self) -> str:
        return f"Preferences of {self.user}"
