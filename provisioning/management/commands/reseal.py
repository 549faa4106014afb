from typing import Any

from django.core.management.base import BaseCommand, CommandError

from provisioning import services


class Command(BaseCommand):
    help = "Seal kept passwords and access tokens with the first of SEALING_KEYS, so that older keys can be destroyed."

    def handle(self, **options: Any) -> None:
        resealed, lost = services.reseal()
        self.stdout.write(f"Sealed {resealed} secrets with the first of SEALING_KEYS.")
        if lost:
            raise CommandError(
                f"{lost} secrets can't be opened. Add the key that sealed them to the end of SEALING_KEYS."
            )
