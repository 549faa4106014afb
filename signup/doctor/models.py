"""The doctor's last result."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Diagnosis(models.Model):
    """The last result of `manage.py doctor`."""

    at = models.DateTimeField(db_default=Now())
    findings = models.JSONField()
    """A list of `Finding`s."""

    class Meta:
        verbose_name_plural = "diagnoses"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} UTC"
