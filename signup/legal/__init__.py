"""Legal texts of a brand, and what customers agree to when they sign up.

The page's form, and `accept` for the API, validate which texts a customer has accepted. `record` stores it with the
account, in the transaction of the sign-up, and `renew` if the customer sends the form again.
"""

from signup.legal.agreements import CHANGED, MISSING, Deleted, accept, in_language, record, renew

__all__ = ["CHANGED", "MISSING", "Deleted", "accept", "in_language", "record", "renew"]
