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
        kept = []
        for account in accounts:
            try:
                services.erase(account)
            except IllegalMove as reason:
                kept.append(f"{account.reference} was not erased. {reason}")
            except MovedMeanwhile:
                kept.append(f"{account.reference} was not erased. It has just changed. Try again.")
            else:
                self.stdout.write(f"Erased {account.reference}.")
        if kept:
            raise CommandError("\n".join(kept))


def _accounts(who: str) -> Any:
    try:
        return Account.objects.filter(reference=UUID(who))
    except ValueError:
        return Account.objects.filter(email__iexact=who)
