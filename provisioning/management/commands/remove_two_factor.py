"""`manage.py remove_two_factor`: let somebody who lost their phone log in again."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_otp.plugins.otp_totp.models import TOTPDevice

from provisioning.models import StaffSession

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Remove a staff member's second factor, and end their sessions. Their password stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if not user:
            raise CommandError("No staff member has this username.")
        removed, _rows = TOTPDevice.objects.filter(user=user).delete()
        for session in StaffSession.objects.filter(user=user).select_related("session"):
            session.session.delete()
        log.warning("second factor removed user=%s by=command", user.pk)
        self.stdout.write(
            "Removed. They now log in with their password alone." if removed else "There was no second factor."
        )
