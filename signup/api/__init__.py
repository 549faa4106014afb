"""The JSON API for the partner's own systems: a third caller of `provisioning.services`, beside the page and the admin.

A request comes with a key (`keys`), which has scopes, may be limited to a brand, and to networks. Everything under
`PREFIX` is answered in JSON, errors as problem documents (`problems`). No cookie is read or set.
"""
