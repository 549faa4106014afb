"""Everything that can be done with an account: the only code that writes its state.

Customers submit, change, and correct. Staff approve, decline, close, retry, look up, decide, and assign. Workers claim
due accounts, provision them, read the partner's list page by page, and take over the accounts of dead workers.
`settlement` applies Constant Contact's answers, and `look_ups` what is in the list.
"""

from provisioning.services.claims import (
    AccountClaim,
    PageClaim,
    claim_account,
    claim_page,
    expected_wait,
    is_account_due,
    retry_unsendable,
)
from provisioning.services.customers import (
    TAKEN,
    account_of,
    change,
    correct,
    correctable,
    differences,
    is_changeable,
    is_username_taken,
    prepare,
    refused,
    refused_keys,
    submit,
)
from provisioning.services.keys import discard_lost, open_newest, reseal
from provisioning.services.look_ups import settle_complete_pass
from provisioning.services.privacy import ERASABLE, erase, purge, wipe_token
from provisioning.services.staff import (
    approve,
    assign,
    attach,
    close,
    decline,
    look_up,
    may_exist,
    may_retry,
    reject_username,
    retry,
)
from provisioning.services.workers import expire, provision, read_page, record_heartbeat, remove_worker

__all__ = [
    "ERASABLE",
    "TAKEN",
    "AccountClaim",
    "PageClaim",
    "account_of",
    "approve",
    "assign",
    "attach",
    "change",
    "claim_account",
    "claim_page",
    "close",
    "correct",
    "correctable",
    "decline",
    "differences",
    "discard_lost",
    "erase",
    "expected_wait",
    "expire",
    "is_account_due",
    "is_changeable",
    "is_username_taken",
    "look_up",
    "may_exist",
    "may_retry",
    "open_newest",
    "prepare",
    "provision",
    "purge",
    "read_page",
    "record_heartbeat",
    "refused",
    "refused_keys",
    "reject_username",
    "remove_worker",
    "reseal",
    "retry",
    "retry_unsendable",
    "settle_complete_pass",
    "submit",
    "wipe_token",
]
