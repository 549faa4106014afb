"""`manage.py reseal`: seal everything with a new key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import pluralize

from provisioning import services


class Command(BaseCommand):
    help = "Seal all stored secrets with the first key in SEALING_KEYS, so that older keys can be destroyed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--discard",
            action="store_true",
            help="discard secrets whose key is lost, and close accounts that need them",
        )

    def handle(self, *, discard: bool, **options: Any) -> None:
        if discard:
            self.stdout.write(f"Discarded {_secrets(services.discard_lost())} that no key opens.")
        resealed, lost = services.reseal()
        self.stdout.write(f"Sealed {_secrets(resealed)} with the first of SEALING_KEYS.")
        if lost:
            raise CommandError(
                f"{_secrets(lost)} can't be opened. Add the key that sealed them to the end of SEALING_KEYS."
            )


def _secrets(number: int) -> str:
    return f"{number} secret{pluralize(number)}"
