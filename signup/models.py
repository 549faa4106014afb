"""The sign-up page's own tables, where Django looks for them. Each is defined beside the code that uses it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from signup.api.models import ApiKey as ApiKey
from signup.api.models import ApiSignup as ApiSignup
from signup.brand.models import Brand as Brand
from signup.burst import Burst as Burst
from signup.legal.models import Agreement as Agreement
from signup.legal.models import LegalText as LegalText
from signup.mails.models import Mail as Mail
from signup.mails.models import SentMail as SentMail
from signup.single_sign_on.models import StaffIdentity as StaffIdentity
from signup.single_sign_on.models import UsedLink as UsedLink
from signup.visits import Visit as Visit


class Diagnosis(models.Model):
    """The last result of `manage.py doctor`."""

    at = models.DateTimeField(db_default=Now())
    findings = models.JSONField()
    """A list of `signup.doctor.Finding`s."""

    class Meta:
        verbose_name_plural = "diagnoses"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} UTC"
