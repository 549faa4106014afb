"""`manage.py check_keys`: whether SEALING_KEYS open what was sealed last. Nothing starts with wrong ones."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from provisioning import services
from provisioning.sealed import CannotOpen

WRONG = (
    "No key in SEALING_KEYS opens the newest sealed secret. Add the key that sealed it to the end of the list. "
    "If it is lost for good, run: python manage.py reseal --discard"
)


class Command(BaseCommand):
    help = "Fail if no key in SEALING_KEYS opens the newest sealed secret in the database."

    def handle(self, *, verbosity: int, **options: Any) -> None:
        try:
            with suppress(Error):
                services.open_newest()
        except CannotOpen:
            raise CommandError(WRONG) from None
        if verbosity:
            self.stdout.write("The keys open the newest secrets.")
