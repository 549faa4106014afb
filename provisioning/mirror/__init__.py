"""The mirror: what the partner's list of accounts at Constant Contact holds, as far as it was read.

A *pass* reads the list from its first page to its last, page by page (`passes`); one pass at a time for the whole
installation, its place kept in the database, so that any worker reads the next page. What the pages show is kept as
*entries*. Whether an entry is the account that an unanswered call of ours made is decided in `matching`.

The list tells neither the email address nor the partner's own id of an account, has no filter, and lags behind by a
time that the vendor doesn't state.
"""
