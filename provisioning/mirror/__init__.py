"""The mirror: a local copy of the partner's list of accounts at Constant Contact.

A *pass* reads the list from the first page to the last (`passes`). The whole installation runs one pass at a time; its
position is in the database, so that any worker can read the next page. The accounts on the pages are stored as
*entries*. `matching` decides whether an entry is the account that one of our unanswered calls created.

The list shows neither an account's email address nor the partner's own ID for it, has no filter, and lags behind by an
undocumented time.
"""
