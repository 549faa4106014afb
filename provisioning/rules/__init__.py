"""The rules for the values that Constant Contact accepts for each property of an account, as one table.

The sign-up form, its hints to the browser, the model's columns, corrections by staff and the sandbox all read the table
in `document`, so they cannot disagree. Names, limits and reasons are those of the vendor's v2 page
`docs/account-management/create-account.html` (`POST /v2/partner/accounts`). Where the contract of v3
(`POST /v3/partner/accounts`) asks for something else, `APIS` has its rules. Properties have their v2 names in both.
"""

from provisioning.rules.account import TEST_DOMAIN, Cleaned, active, clean, customer_properties
from provisioning.rules.document import (
    APIS,
    BILLING_LOCALES,
    CUSTOMER_PROPERTIES,
    PERSONAL_PROPERTIES,
    RULES,
    SHOWN_PROPERTIES,
)
from provisioning.rules.mailboxes import likely as likely_email
from provisioning.rules.mailboxes import mailbox
from provisioning.rules.passwords import is_weak
from provisioning.rules.places import country_name, states
from provisioning.rules.rule import Choices, Rule, flatten, unbroken

__all__ = [
    "APIS",
    "BILLING_LOCALES",
    "CUSTOMER_PROPERTIES",
    "PERSONAL_PROPERTIES",
    "RULES",
    "SHOWN_PROPERTIES",
    "TEST_DOMAIN",
    "Choices",
    "Cleaned",
    "Rule",
    "active",
    "clean",
    "country_name",
    "customer_properties",
    "flatten",
    "is_weak",
    "likely_email",
    "mailbox",
    "states",
    "unbroken",
]
