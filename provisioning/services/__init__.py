"""The verbs: everything that happens to an account, and the only writers of its state.

Customers submit, change and correct. Staff approve, decline, close, retry and look up. Workers claim what is due, then
provision or reconcile, and expire what was left behind. What an answer of Constant Contact leads to stands in
`settlement`.
"""

from provisioning.services.customers import (
    TAKEN,
    account_of,
    change,
    correct,
    differences,
    is_changeable,
    is_taken,
    refused,
    submit,
)
from provisioning.services.privacy import erase, purge, wipe_token
from provisioning.services.staff import approve, close, decline, look_up, may_exist, retry
from provisioning.services.workers import (
    Claim,
    claim_account,
    claim_look_up,
    expire,
    provision,
    reconcile,
    report,
    sign_off,
)

__all__ = [
    "TAKEN",
    "Claim",
    "account_of",
    "approve",
    "change",
    "claim_account",
    "claim_look_up",
    "close",
    "correct",
    "decline",
    "differences",
    "erase",
    "expire",
    "is_changeable",
    "is_taken",
    "look_up",
    "may_exist",
    "provision",
    "purge",
    "reconcile",
    "refused",
    "report",
    "retry",
    "sign_off",
    "submit",
    "wipe_token",
]
