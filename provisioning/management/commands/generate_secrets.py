"""`manage.py generate_secrets`: generate the secrets of an installation."""

from __future__ import annotations

import secrets
from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Print new secrets as lines for a .env file."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        for name, value in new_secrets().items():
            self.stdout.write(f"{name}={value}")


def new_secrets() -> dict[str, str]:
    """Return new values for the secrets that every installation needs; the last one is for compose.yaml."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SEALING_KEYS": Fernet.generate_key().decode(),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
    }
