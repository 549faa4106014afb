"""Legal texts of a brand, and what customers agree to when they sign up.

The page and the API use the same two functions: `accept` validates which texts a customer has accepted, and `record`
stores it with the account, in the transaction of the sign-up.
"""

from signup.legal.agreements import CHANGED, MISSING, accept, in_language, record

__all__ = ["CHANGED", "MISSING", "accept", "in_language", "record"]
