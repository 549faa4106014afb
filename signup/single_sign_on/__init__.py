"""Single sign-on: customers without a password of their own prove who they are before they see the form.

`CONSTANT_CONTACT_IDP_PROVIDER` turns it on. There are two ways to prove it: logging in at the partner's identity
provider (`openid`), or following a link that the partner's own system has signed (`link`). Both end in a `Proof` in the
browser's session, on our side. Nothing in a form ever counts as a proof.

Staff may log in to the admin through the same provider (`staff`).
"""

from signup.single_sign_on.proof import (
    Proof,
    ask_to_switch,
    forget_others,
    forget_values,
    get_proof,
    is_another_customer,
    keep_typed,
    login_page,
    proof_required,
)

__all__ = [
    "Proof",
    "ask_to_switch",
    "forget_others",
    "forget_values",
    "get_proof",
    "is_another_customer",
    "keep_typed",
    "login_page",
    "proof_required",
]
