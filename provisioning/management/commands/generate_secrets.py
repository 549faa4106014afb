"""`manage.py generate_secrets`: what has to be secret and can be made up."""

from __future__ import annotations

import secrets
from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Print fresh secrets as lines for a .env file."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        for name, value in fresh().items():
            self.stdout.write(f"{name}={value}")


def fresh() -> dict[str, str]:
    """Fresh values for what every installation has to have of its own; the last is for compose.yaml."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SEALING_KEYS": Fernet.generate_key().decode(),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
    }
