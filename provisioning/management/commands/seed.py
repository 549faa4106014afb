"""`manage.py seed`: fill the database with sample accounts, for developing the admin."""

from __future__ import annotations

import random
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from provisioning.models import Account, Attempt
from provisioning.sealed import NOTHING, Sealed

State, Kind, Outcome = Account.State, Attempt.Kind, Attempt.Outcome

BATCH = 2000
FIRST = "Ana Ben Chloé Dev Ella Finn Grace Hugo Inés Jack Kim Leo Maya Noah Olga Paul Rosa Sam Uma".split()  # noqa: SIM905
LAST = [
    first + middle + last
    for first in ("Ash", "Bar", "Côt", "Dun", "Elm", "Fair", "Glen", "Hart", "Ken", "Lang", "Mar", "Nor", "O'Br", "Ros")
    for middle in ("ber", "der", "en", "ing", "ling", "mer", "ner", "ster", "ter", "win")
    for last in ("brook", "by", "dale", "field", "ford", "ley", "man", "son", "ton", "well", "wick", "wood")
]
"""Many different last names, as among real customers, so that a search for one doesn't match most accounts."""
WHERE = "Alder Birch Blue Cedar Harbor Ivy Lake Maple Northside Oak Prairie River Summit Willow".split()  # noqa: SIM905
WHAT = "Animal Rescue|Bakery|Bookshop|Brewing|Café|Choir|Cycles|Dental|Florist|Law|Lodge|Yoga".split("|")  # noqa: SIM905
PLACES = [("US", "MA"), ("US", "TX"), ("US", "CA"), ("CA", "QC"), ("GB", ""), ("DE", ""), ("AU", "")]
HOSTS = ["signup.example.com"] * 4 + ["trial.example.com"]
RECENT = {State.REJECTED: timedelta(days=7), State.UNCONFIRMED: timedelta(hours=30), State.HELD: timedelta(days=2)}
"""The maximum age of accounts in these states."""


class Command(BaseCommand):
    help = "Fill the database with sample accounts. For development only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int, help="how many accounts to create")
        parser.add_argument(
            "--days", type=int, default=365, help="spread sign-ups over this many days until now (default: 365)"
        )

    def handle(self, *, number: int, days: int, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("This works only with DEBUG=true: these accounts are not real.")
        accounts = _accounts(number, timedelta(days=days))
        while batch := list(islice(accounts, BATCH)):
            with transaction.atomic():
                made = Account.objects.bulk_create(batch)
                Attempt.objects.bulk_create([attempt for account in made for attempt in _attempts(account)])
        self.stdout.write(f"Created {number} accounts.")


def _accounts(number: int, span: timedelta) -> Iterator[Account]:
    serial = Account.objects.count()
    now, choose = timezone.now(), random.Random(serial)  # noqa: S311
    password, token = Sealed.of("not-a-real-one"), Sealed.of("not-a-real-token")
    for position in range(number):
        submitted_at = now - span * (1 - (position + choose.random()) / number)
        state = _state(choose, now - submitted_at)
        name = f"{choose.choice(WHERE)} {choose.choice(WHAT)}"
        first, last = choose.choice(FIRST), choose.choice(LAST)
        country, region = choose.choice(PLACES)
        word = _letters(name)
        took = timedelta(seconds=1 + choose.expovariate(1 / 3))
        created = state == State.CREATED
        yield Account(
            submission=uuid.UUID(int=choose.getrandbits(128)),
            reference=uuid.UUID(int=choose.getrandbits(128)),
            state=state,
            organization_name=name,
            website=f"https://{word}.example.com",
            country_code=country,
            state_code=region,
            first_name=first,
            last_name=last,
            email=f"{_letters(first)}@{word}.example.com",
            host=choose.choice(HOSTS),
            phone=f"+1 555 010 {position % 10000:04}",
            username=f"{word}{serial + position}",
            password=NOTHING if state in Account.FINAL else password,
            oauth2_token=token if created and choose.random() < 0.9 else NOTHING,
            account_id=f"11{serial + position:08}" if created else "",
            submitted_at=submitted_at,
            state_changed_at=submitted_at + took,
            created_at=submitted_at + took if created else None,
            due_at=now + timedelta(days=1) if state in {State.REJECTED, State.UNCONFIRMED} else None,
        )


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isascii() and letter.isalpha())


def _state(choose: random.Random, age: timedelta) -> Account.State:
    likely = [State.CREATED] * 88 + [State.REJECTED] * 6 + [State.CLOSED] * 3 + [State.UNCONFIRMED, State.HELD] * 2
    state = choose.choice(likely)
    if age <= RECENT.get(state, age):
        return state
    return State.CLOSED if state == State.REJECTED else State.CREATED


def _attempts(account: Account) -> Iterator[Attempt]:
    sent = account.submitted_at + timedelta(milliseconds=100)
    match account.state:
        case State.CREATED:
            yield _attempt(account, sent, Outcome.CREATED, 201, answer=f'{{"id": "{account.account_id}"}}')
        case State.REJECTED | State.CLOSED if account.phone[-1] in "02468":
            reason = "Not a valid phone number"
            yield _attempt(account, sent, Outcome.REFUSED, 400, "json.regex.invalid", f"#/phone: {reason}", "phone")
        case State.REJECTED | State.CLOSED:
            yield _attempt(account, sent, Outcome.TAKEN, 409, "username.exists", "Username already in use", "username")
        case State.UNCONFIRMED:
            yield _attempt(account, sent, Outcome.UNKNOWN, None, message="No answer within 30 seconds")


def _attempt(
    account: Account,
    sent: datetime,
    outcome: Attempt.Outcome,
    status: int | None,
    key: str = "",
    message: str = "",
    refused: str = "",
    answer: str = "",
) -> Attempt:
    took = timedelta(seconds=30) if status is None else account.state_changed_at - sent
    return Attempt(
        account=account,
        kind=Kind.CREATE,
        username=account.username,
        outcome=outcome,
        started_at=sent,
        ended_at=sent + took,
        duration=took,
        status=status,
        error_key=key,
        error_message=message,
        refused={refused: message} if refused else {},
        answer=answer or (f'[{{"error_key": "{key}", "error_message": "{message}"}}]' if key else ""),
    )
