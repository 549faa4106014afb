"""`manage.py erase`: erase a customer's personal data."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from provisioning import services
from provisioning.models import Account, IllegalMove, MovedMeanwhile


class Command(BaseCommand):
    help = "Permanently erase the personal data of accounts here. Accounts at Constant Contact are not changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("who", help="an account's reference, or the email address of all accounts to erase")

    def handle(self, *, who: str, **options: Any) -> None:
        services.expire()  # An account that a dead worker was sending can't be erased before it is taken over.
        accounts = list(_accounts(who))
        if not accounts:
            raise CommandError(f"No account has the reference or email address {who}.")
        for account in accounts:
            try:
                services.erase(account)
            except (IllegalMove, MovedMeanwhile):
                raise CommandError(
                    f"{account.reference} is being sent or is already erased. Try again in a minute."
                ) from None
            self.stdout.write(f"Erased {account.reference}.")


def _accounts(who: str) -> Any:
    try:
        return Account.objects.filter(reference=UUID(who))
    except ValueError:
        return Account.objects.filter(email__iexact=who)
