"""Brands with legal texts, and forms that accept them."""

import itertools
import re
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from signup.legal.models import LegalText
from signup.models import Brand
from tests.signup.accounts import TYPED

_minutes = itertools.count()


def published(brand: Brand, kind: str, version: str = "1", language: str = "", **values: str) -> LegalText:
    """Publish a text. Each one is later than those before it."""
    text = LegalText(brand=brand, kind=kind, version=version, language=language, **(values or {"text": f"{kind} text"}))
    text.publish(timezone.now() + timedelta(seconds=next(_minutes)))
    text.save()
    return text


def boxes(page: Any) -> dict[str, str]:
    """Return the boxes for legal texts on a page: name → value."""
    found = re.findall(r'type="checkbox" name="(agree|marketing)" id="\w+" value="([^"]+)"', page.content.decode())
    return dict(found)


def checked(page: Any) -> list[str]:
    return re.findall(r'name="(agree|marketing)" id="\w+" value="[^"]+" checked', page.content.decode())


def send(client: Client, **more: str) -> Any:
    return client.post("/", TYPED | more)
