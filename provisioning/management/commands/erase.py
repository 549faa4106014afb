from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from provisioning import services
from provisioning.models import Account, IllegalMove, MovedMeanwhile


class Command(BaseCommand):
    help = "Erase the personal data of accounts for good. What Constant Contact holds is not touched."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("who", help="the reference of one account, or the e-mail address of all that are to go")

    def handle(self, *, who: str, **options: Any) -> None:
        services.expire()  # What a dead worker left cannot be erased before it is taken back.
        accounts = list(_accounts(who))
        if not accounts:
            raise CommandError(f"No account has the reference or e-mail address {who}.")
        for account in accounts:
            try:
                services.erase(account)
            except (IllegalMove, MovedMeanwhile):
                raise CommandError(
                    f"{account.reference} is being sent, or is erased already: try again in a minute."
                ) from None
            self.stdout.write(f"Erased {account.reference}.")


def _accounts(who: str) -> Any:
    try:
        return Account.objects.filter(reference=UUID(who))
    except ValueError:
        return Account.objects.filter(email__iexact=who)
