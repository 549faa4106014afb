"""`manage.py signup_link`: print a signed link to the form, for a trial or for one customer."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlencode, urljoin

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from provisioning import rules
from provisioning.hosts import main_origin
from signup.single_sign_on import link
from signup.single_sign_on.proof import is_id

OWN_ID = "partner_account_id"
KNOWN = f"values to fill in on the form, and your own ID for the account ({OWN_ID})"


class Command(BaseCommand):
    help = "Print a link that takes the customer with this ID to the form. It works once, within ten minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", help="your own unique ID for the customer")
        parser.add_argument("known", nargs="*", metavar="PROPERTY=VALUE", help=KNOWN)
        parser.add_argument(
            "--page", default=f"{main_origin()}/", help="the sign-up page's address (default: %(default)s)"
        )

    def handle(self, *, id: str, known: list[str], page: str, **options: Any) -> None:  # noqa: A002
        if not settings.CONSTANT_CONTACT_IDP_PROVIDER:
            raise CommandError("Single sign-on is off: set CONSTANT_CONTACT_IDP_PROVIDER first.")
        if not is_id(id):
            raise CommandError(
                "Constant Contact doesn't accept this ID. Use at most 255 characters, with no spaces around them."
            )
        if not settings.SIGNUP_LINK_KEY or link.key()[0] != "HS256":
            raise CommandError(
                "SIGNUP_LINK_KEY is not a secret. With a public key, only your own system can sign links."
            )
        token = link.make(id, _values(known), page)
        self.stdout.write(f"{urljoin(page, reverse('start'))}?{urlencode({'token': token})}")


def _values(known: list[str]) -> dict[str, str]:
    names = (*rules.customer_properties(single_sign_on=True), OWN_ID)
    values = dict(each.partition("=")[::2] for each in known)
    if unknown := values.keys() - set(names):
        raise CommandError(f"There is no property {min(unknown)}. Choose from: {', '.join(names)}.")
    if values.get(OWN_ID) and not is_id(values[OWN_ID], OWN_ID):
        raise CommandError(f"Constant Contact doesn't accept this {OWN_ID}. Use at most 80 characters on one line.")
    return values
