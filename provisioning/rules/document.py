"""The vendor's documentation as data: a rule for each property, with its limits, choices, and help text."""

from __future__ import annotations

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from provisioning.rules import normalization
from provisioning.rules.places import country_choices, country_choices_with_kosovo, state_choices
from provisioning.rules.rule import Choices, Rule

BILLING_LOCALES: Choices = [("en_US", "US dollars"), ("en_GB", "British pounds")]
"""The currencies that an account can be billed in. Only staff choose one, so the names are not translated."""


_BY_CUSTOMER = (
    Rule(
        name="organization_name",
        required=True,
        max_length=80,
        help_text=_("The name your customers know you by."),
        missing=_("Enter the name of your organization."),
        hints={"autocomplete": "organization", "dir": "auto"},
    ),
    Rule(
        name="website",
        normalize=normalization.website,
        max_length=255,
        is_url=True,
        help_text=_("Like www.example.com."),
        hints={
            "autocomplete": "url",
            "inputmode": "url",
            "autocapitalize": "none",
            "spellcheck": "false",
        },
    ),
    Rule(
        name="country_code",
        normalize=normalization.country,
        required=True,
        max_length=2,
        choices=country_choices,
        missing=_("Choose your country."),
        hints={"autocomplete": "country"},
    ),
    Rule(
        name="state_code",
        normalize=normalization.compact,
        max_length=80,
        choices=state_choices,
        help_text=_("For addresses in the United States and Canada only."),
        hints={"autocomplete": "address-level1"},
    ),
    Rule(
        name="first_name",
        required=True,
        max_length=80,
        is_person=True,
        missing=_("Enter your first name."),
        hints={"autocomplete": "given-name", "dir": "auto"},
    ),
    Rule(
        name="last_name",
        required=True,
        max_length=80,
        is_person=True,
        missing=_("Enter your last name. If you have only one name, enter it here again."),
        hints={"autocomplete": "family-name", "dir": "auto"},
    ),
    Rule(
        name="email",
        normalize=normalization.email,
        required=True,
        max_length=80,
        is_email=True,
        help_text=_("Constant Contact sends a message to this address to verify it."),
        missing=_("Enter your email address."),
        hints={
            "autocomplete": "email",
            "inputmode": "email",
            "autocapitalize": "none",
            "spellcheck": "false",
        },
    ),
    Rule(
        name="phone",
        required=True,
        max_length=25,
        normalize=normalization.phone,
        shape=r"(?i)[0-9+()\-./# ]*((ext|extension|poste|x)\.? ?[0-9]+)?",
        wrong_characters=_("Use only digits, spaces, and + ( ) - . / # and write an extension like x12 or ext. 12."),
        min_digits=5,
        help_text=_("With the country code, like +1 555 010 0199."),
        missing=_("Enter your phone number."),
        hints={"autocomplete": "tel", "inputmode": "tel"},
    ),
    Rule(
        name="username",
        required=True,
        max_length=50,
        normalize=normalization.lowercase,
        characters=r"a-z0-9@.\-_",
        wrong_characters=_("Use only lowercase letters a to z, numbers, and @ . - _"),
        help_text=_("Lowercase letters, numbers, and @ . - _ only."),
        missing=_("Choose a username."),
        hints={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    ),
    Rule(
        name="password",
        required=True,
        min_length=6,
        max_length=80,
        characters=r"A-Za-z0-9@.\-_",
        wrong_characters=_("Use only letters A to Z, numbers, and the characters @ . - _"),
        is_secret=True,
        generated="upper, lower, digit, [-@._]",
        normalize=str,
        help_text=_("At least %(min_length)d characters: letters A to Z, numbers, and @ . - _ only."),
        missing=_("Choose a password."),
        hints={"autocomplete": "new-password", "autocapitalize": "none", "spellcheck": "false"},
    ),
    Rule(name="gdpr_opt_out", kind=bool),
)
_BY_PARTNER = (
    Rule(name="billing_locale", max_length=5, normalize=normalization.trim, choices=lambda: BILLING_LOCALES),
    Rule(name="idp_provider", max_length=20, normalize=normalization.trim),
    Rule(name="idp_provider_id", max_length=255, normalize=normalization.trim),
    Rule(name="managed_site_owner", kind=bool),
    Rule(name="partner_account_id", max_length=80, normalize=normalization.trim),
    Rule(name="single_billing", kind=bool),
)

RULES: dict[str, Rule] = {rule.name: rule for rule in (*_BY_CUSTOMER, *_BY_PARTNER)}
"""The v2 documentation, with a rule for each property of the request."""

_V3 = {
    rule.name: rule
    for rule in (
        replace(RULES["organization_name"], max_length=50),
        replace(RULES["first_name"], min_length=2),
        replace(RULES["last_name"], min_length=2),
        replace(RULES["phone"], min_length=5),
        replace(
            RULES["username"],
            min_length=6,
            normalize=normalization.compact,
            characters=r"A-Za-z0-9@.\-_+",
            wrong_characters=_("Use only letters A to Z, numbers, and the characters @ . - _ +"),
            help_text=_("At least %(min_length)d characters: letters, numbers, and @ . - _ + only."),
        ),
        replace(
            RULES["password"],
            min_length=8,
            characters="",
            generated=Rule.generated,
            must_not_contain="username",
            help_text=_("At least %(min_length)d characters, without your username or a word from it."),
        ),
        replace(RULES["idp_provider"], max_length=80),
    )
}
"""The rules that differ in v3."""

APIS: dict[str, dict[str, Rule]] = {"v2": RULES, "v3": RULES | _V3}
"""The rules of each API."""

WITH_KOSOVO = replace(RULES["country_code"], choices=country_choices_with_kosovo)
"""For partners with customers in Kosovo. The vendor does not document that it accepts this code."""

CUSTOMER_PROPERTIES = tuple(rule.name for rule in _BY_CUSTOMER)
"""The properties that the customer enters, in the order of the form; the partner supplies all others."""

SHOWN_PROPERTIES = tuple(rule.name for rule in _BY_CUSTOMER if not rule.is_secret)
"""Those of them that may be shown, corrected by staff, and exported: all but the password."""

PERSONAL_PROPERTIES = {*SHOWN_PROPERTIES, "idp_provider_id", "partner_account_id"} - {"country_code"}
"""What erasing an account erases besides secrets. The country is kept, for statistics."""
