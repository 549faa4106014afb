"""The forms of the sign-up page: for a new sign-up, for what was refused, and for changes."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from typing import Any, Self

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from provisioning import rules
from provisioning.models import Account
from signup import refusals, usernames
from signup.brand.models import Brand
from signup.fields import PropertyField, field_of
from signup.legal.fields import agreement_fields
from signup.legal.models import LegalText

GROUPS = (
    (_("Your business"), ("organization_name", "website", "country_code", "state_code")),
    (_("You"), ("first_name", "last_name", "email", "phone")),
    (_("Your account"), ("username", "password")),
)

WEAK = _("This password is easy to guess. Enter a better one, or the same one again to keep it.")
"""An error the first time that the form is sent."""

KEEP = _("Leave this empty to keep the one you chose.")


class PropertiesForm(forms.Form):
    """A form for some properties of an account. Properties that its customer isn't asked for are left out.

    `known` holds other properties of the account that validation depends on.
    """

    use_required_attribute = False

    def __init__(
        self,
        properties: Iterable[str],
        data: Mapping[str, Any] | None,
        *,
        single_sign_on: bool,
        known: Mapping[str, object] | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.known = known or {}
        self.was_username_taken = False
        self.is_password_optional = False
        active, asked = rules.active(), rules.customer_properties(single_sign_on=single_sign_on)
        language = get_language()
        for name in properties:
            if name in asked:
                field = field_of(active[name], language, logs_in=name == "username" and not single_sign_on)
                self.fields[name] = copy(field)

    def clean(self) -> dict[str, Any]:
        is_kept = self.is_password_optional and not self.cleaned_data.get("password")
        asked = set(self.fields) - ({"password"} if is_kept else set())
        cleaned: dict[str, Any]
        try:
            cleaned = rules.clean({**self.known, **self.cleaned_data}, only=asked)
        except ValidationError as problems:
            self.add_error(None, problems)
            cleaned = self.cleaned_data
        password = cleaned.get("password")
        if password and "insist" not in self.data and rules.is_weak(password, {**self.known, **cleaned}):
            self.add_error("password", ValidationError(WEAK, code="weak"))
        return cleaned

    def as_typed(self) -> Self:
        """Show what was typed again, without error messages."""
        self.errors.clear()
        return self

    @property
    def has_warned(self) -> bool:
        """Whether the customer was warned of a weak password. The next one is accepted as it is."""
        return "insist" in self.data or self.has_error("password", "weak")

    @property
    def is_username_taken(self) -> bool:
        return self.was_username_taken or self.has_error("username", "taken")

    def suggestions(self) -> list[str]:
        """Return usernames to choose from instead of a taken one.

        What was typed is used only after the username was checked, which counts against the rate limits. Otherwise,
        anyone could probe usernames for free with forms that are invalid elsewhere.
        """
        typed = dict(self.data.items()) if self.has_error("username", "taken") else {}  # A QueryDict unpacks to lists.
        return usernames.suggestions({**self.known, **typed}) if self.is_username_taken else []

    def likely_email(self) -> str:
        """Return the address that was probably meant; empty if the one entered looks right."""
        asks = self.is_bound and "email" in self.fields
        return rules.likely_email(str(self["email"].value() or "")) if asks else ""


class SignupForm(PropertiesForm):
    """The sign-up form. Its `submission`, a one-time ID, identifies it when it is sent twice.

    `initial` holds what is already known of the customer, who can change it. With a `brand`, it has fields for the
    brand's legal texts; those that the customer has accepted are in `accepted`.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
        brand: Brand | None = None,
    ) -> None:
        single_sign_on = bool(settings.CONSTANT_CONTACT_IDP_PROVIDER)
        super().__init__(rules.CUSTOMER_PROPERTIES, data, single_sign_on=single_sign_on, initial=initial)
        self.submission = _submission(data or {})
        self.has_password = not single_sign_on
        self.is_password_kept = False
        self.agreement_fields = agreement_fields(brand) if brand else {}
        self.fields.update(self.agreement_fields)
        self.accepted: list[LegalText] = []

    def clean(self) -> dict[str, Any]:
        self.accepted = [text for name in self.agreement_fields for text in self.cleaned_data.pop(name, [])]
        return super().clean()

    def agreements(self) -> list[forms.BoundField]:
        return [self[name] for name in self.agreement_fields]

    @property
    def asks_for_second(self) -> bool:
        """Whether the customer was told of their first account. If they send the form again, they want a second one."""
        return "second" in self.data or self.has_error(NON_FIELD_ERRORS, "second")

    def hide_password(self) -> None:
        """Don't ask for the password, because it is kept."""
        del self.fields["password"]
        self.is_password_kept = True

    def groups(self) -> Iterator[tuple[str, list[forms.BoundField]]]:
        for legend, names in GROUPS:
            yield str(legend), [self[name] for name in names if name in self.fields]


class CorrectionForm(PropertiesForm):
    """A form for what Constant Contact refused, filled in with the account's values, except secrets.

    `refused` maps each refused property to the key of Constant Contact's error, or to an error of our own.
    """

    def __init__(
        self, account: Account, refused: Mapping[str, str | ValidationError], data: Mapping[str, Any] | None = None
    ) -> None:
        names = [name for name in rules.CUSTOMER_PROPERTIES if name in refused]
        if "country_code" in refused and "state_code" not in refused:
            names.insert(names.index("country_code") + 1, "state_code")
        kept = {name: getattr(account, name) for name in rules.SHOWN_PROPERTIES}
        super().__init__(
            names, kept if data is None else data, single_sign_on=bool(account.idp_provider_id), known=kept
        )
        self.refused = refused
        # Keep offering usernames if the one typed instead is invalid.
        self.was_username_taken = isinstance(refused.get("username"), ValidationError)
        if data is None:
            self.as_typed()

    def as_typed(self) -> Self:
        super().as_typed()
        for name in set(self.fields) & set(self.refused):
            reason = self.refused[name]
            self.add_error(name, refusals.explain(name, reason) if isinstance(reason, str) else reason)
            if isinstance(reason, str) and refusals.is_explained(name, reason):
                self.fields[name].help_text = ""  # Constant Contact has just contradicted it.
        return self


class ChangeForm(PropertiesForm):
    """A form for all properties, or for `names` only, filled in with the account's values.

    It has a password field only `with_password`; left empty, the password stays as it is.
    """

    def __init__(
        self,
        account: Account,
        data: Mapping[str, Any] | None,
        *,
        names: Iterable[str] = (),
        with_password: bool = False,
    ) -> None:
        kept = {name: getattr(account, name) for name in rules.SHOWN_PROPERTIES}
        shown = [*kept, *(["password"] if with_password else [])]
        super().__init__(
            names or [name for name in rules.CUSTOMER_PROPERTIES if name in shown],
            data,
            single_sign_on=bool(account.idp_provider_id),
            known=kept,
            initial=kept,
        )
        self.is_password_optional = True
        if "password" in self.fields:
            self.fields["password"] = PropertyField(rules.active()["password"], KEEP)
            self.fields["password"].widget.attrs.pop("aria-required")


def _submission(data: Mapping[str, Any]) -> uuid.UUID:
    """Return the one-time ID that a form was sent with, or a new one if it has none that can be read."""
    try:
        return uuid.UUID(data.get("submission", ""))
    except (ValueError, AttributeError, TypeError):
        return new_submission()


def new_submission() -> uuid.UUID:
    """Return a one-time ID of 128 random bits. A version 4 UUID would have only 122."""
    return uuid.UUID(bytes=secrets.token_bytes(16))
