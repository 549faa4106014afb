"""What customers agree to: which texts they must accept, and what is stored of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from provisioning.models import Account
from signup.brand.models import Brand, forget_pages
from signup.legal.models import Agreement, LegalText

MISSING = ValidationError(_("Check this box to sign up."), code="required")
CHANGED = ValidationError(
    _("The text has changed since you opened this page. Read the new version, and check this box again."),
    code="changed",
)


class Deleted(Exception):
    """A text that a customer has accepted was deleted by another process after this one read it."""


def in_language(brand: Brand, language: str | None = None) -> list[LegalText]:
    """Return the texts in force that a customer reads in this language, by default the active one.

    Of each kind, that is the one in their language, or else the one for all languages.
    """
    language = language or get_language() or ""
    texts = {text.kind: text for text in brand.texts_in_force if not text.language}
    texts |= {text.kind: text for text in brand.texts_in_force if text.language == language}
    return [texts[kind] for kind in LegalText.Kind.values if kind in texts]


def with_ids(brand: Brand, ids: Collection[int], kinds: Collection[str] = LegalText.Kind.values) -> list[LegalText]:
    """Return the texts of these kinds with these IDs, in any language.

    Raises ValidationError (CHANGED) if one of the IDs is not, or no longer, that of such a text in force.
    """
    texts = [text for text in brand.texts_in_force if text.pk in ids and text.kind in kinds]
    if len(texts) < len(set(ids)):
        raise CHANGED
    return texts


def accept(brand: Brand, ids: Collection[int], language: str | None = None) -> list[LegalText]:
    """Return the texts with these IDs, which a customer has accepted, for `record`.

    A text is accepted in the version that the customer saw, in any language. Raises ValidationError: MISSING if one is
    required and not accepted, and CHANGED if one of the IDs is not, or no longer, in force.
    """
    accepted = with_ids(brand, ids)
    required = {text.kind for text in in_language(brand, language)} & LegalText.REQUIRED
    if required - {text.kind for text in accepted}:
        raise MISSING
    return accepted


def renew(account: Account, texts: Collection[LegalText], brand: Brand) -> None:
    """Store what a customer who sent the form again has accepted now. Earlier agreements keep their time.

    If the brand's form asks for marketing, and the customer no longer wants it, that agreement is deleted.
    """
    if account.erased_at:
        return
    earlier = set(account.agreements.values_list("text", flat=True))
    record(account, [text for text in texts if text.pk not in earlier])
    marketing = LegalText.Kind.MARKETING
    asked, accepted = ({text.kind for text in some} for some in (in_language(brand), texts))
    if marketing in asked - accepted:
        account.agreements.filter(text__kind=marketing, text__brand=brand.pk).delete()


def accepted_by(accounts: Collection[int]) -> dict[int, list[dict[str, Any]]]:
    """Return what each customer has accepted, and when, for the partner's own systems. It outlives an erasure.

    Accounts are named by their primary keys.
    """
    accepted: dict[int, list[dict[str, Any]]] = {pk: [] for pk in accounts}
    for each in Agreement.objects.filter(account__in=accounts).select_related("text").defer("text__text"):
        accepted[each.account_id].append(serialize_text(each.text) | {"at": each.at})
    return accepted


def serialize_text(text: LegalText) -> dict[str, Any]:
    """Return what tells a text from all others, for the partner's own systems."""
    return {"id": text.pk, "kind": text.kind, "version": text.version, "language": text.language}


def describe(accounts: Collection[int], **kwargs: Any) -> dict[int, dict[str, Any]]:
    """Return what events about these accounts say about agreements."""
    return {pk: {"agreements": accepted} for pk, accepted in accepted_by(accounts).items()}


def record(account: Account, texts: Collection[LegalText]) -> None:
    """Store that the account's customer accepted these texts now. Runs in the transaction of the sign-up.

    The same form sent twice at the same moment agrees once. Raises Deleted, after which all texts are read again.
    """
    if not texts:
        return
    if _lock(texts) < len(texts):
        forget_pages()
        raise Deleted
    Agreement.objects.bulk_create([Agreement(account=account, text=text) for text in texts], ignore_conflicts=True)


def _lock(texts: Collection[LegalText]) -> int:
    """Return how many of these texts exist, and keep them from being deleted until the transaction ends.

    Django's own locks are exclusive, so all sign-ups of a brand would wait for each other. SQLite has only one writer.
    """
    sql = f"SELECT id FROM {LegalText._meta.db_table} WHERE id IN ({', '.join(['%s'] * len(texts))})"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql + (" FOR KEY SHARE" if connection.vendor == "postgresql" else ""), [t.pk for t in texts])
        return len(cursor.fetchall())
