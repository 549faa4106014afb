"""`manage.py api_key`: create, list, and revoke keys for the API."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from signup.api import keys
from signup.api.models import ApiKey, Scope
from signup.brand.models import Brand

MAX_DAYS = 3650
"""Days."""


class Command(BaseCommand):
    help = "Create, list, and revoke API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        do = parser.add_subparsers(dest="do", required=True, parser_class=ArgumentParser)
        create = do.add_parser("create", help="create a key, and print it once")
        create.add_argument("name", help="which of your systems uses it")
        create.add_argument(
            "--scope", action="append", choices=Scope.values, required=True, help="what it may do; repeat for more"
        )
        create.add_argument("--brand", metavar="HOST", help="limit it to the sign-ups of the brand with this host name")
        create.add_argument(
            "--network", action="append", default=[], help="an address or network that may use it; repeat for more"
        )
        create.add_argument("--days", type=int, help="how long it works; without this, until it is revoked")
        do.add_parser("list", help="show all keys")
        revoke = do.add_parser("revoke", help="revoke a key right away")
        revoke.add_argument("prefix", help="the beginning of the key, like ccs_k3v9x2ab")

    def handle(self, *, do: str, **options: Any) -> None:
        {"create": self._create, "list": self._list, "revoke": self._revoke}[do](options)

    def _create(self, options: dict[str, Any]) -> None:
        key = ApiKey(
            name=options["name"],
            scopes=sorted(set(options["scope"])),
            brand=_brand(options["brand"]),
            networks="\n".join(options["network"]),
            expires_at=_end(options["days"]),
        )
        try:
            key.clean_fields(exclude=["digest", "prefix"])
        except ValidationError as problems:
            raise CommandError(" ".join(problems.messages)) from None
        token = keys.create(key)
        self.stderr.write("Store this key now. It can't be shown again.")
        self.stdout.write(token)

    def _list(self, options: dict[str, Any]) -> None:
        for key in ApiKey.objects.select_related("brand"):
            used = f"{key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never"
            brand = f" brand={key.brand}" if key.brand else ""
            self.stdout.write(
                f"{key.prefix} {key.state:8} used={used} scopes={','.join(key.scopes)}{brand} name={key.name}"
            )

    def _revoke(self, options: dict[str, Any]) -> None:
        key = ApiKey.objects.filter(prefix="_".join(options["prefix"].split("_")[:2])).first()
        if key is None:
            raise CommandError("No key begins with this. `manage.py api_key list` shows all keys.")
        self.stdout.write(f"{key}: {'revoked' if keys.revoke(key) else 'was already revoked'}.")


def _brand(host: str | None) -> Brand | None:
    brand = Brand.objects.filter(host=host).first() if host is not None else None
    if host is not None and brand is None:
        raise CommandError(f"There is no brand with the host name {host!r}.")
    return brand


def _end(days: int | None) -> Any:
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise CommandError(f"Use a number of days from 1 to {MAX_DAYS}.")
    return timezone.now() + timedelta(days=days) if days else None
