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
        accounts = list(_accounts(who))
        if not accounts:
            raise CommandError(f"No account has the reference or e-mail address {who}.")
        for account in accounts:
            try:
                services.erase(account)
            except (IllegalMove, MovedMeanwhile):
                raise CommandError(
                    f"{account.reference} is {account.state}: try again when it is created or closed."
                ) from None
            self.stdout.write(f"Erased {account.reference}.")


def _accounts(who: str) -> Any:
    try:
        return Account.objects.filter(reference=UUID(who))
    except ValueError:
        return Account.objects.filter(email__iexact=who)
