"""The sandbox: Constant Contact's partner API on this machine, at least as strict as the vendor's contract.

Partners try their page against it before they have credentials (`manage.py sandbox`). Tests talk to it over real HTTP
and make it fail:

    with Server(Provider(api_key, username, password, api="v3")) as server:
        ...  # point CONSTANT_CONTACT_URL at server.url, and CONSTANT_CONTACT_TOKEN_URL at server.token_url
        server.provider.fail_next("create", "reset-after")
        server.provider.add_account("anna", "Another bakery")  # An account that was there before
        server.provider.list_lag = 90
        server.provider.down = "404"

From top to bottom: `server` speaks HTTP and nothing else; `provider` has accounts, limits, calls and faults, whatever
the API version; `dialect` validates requests as `v2` or `v3` does: paths, authentication, property names, errors. From
the rest of the product the package uses only the field rules in `provisioning.rules`.
"""

from provisioning.sandbox.faults import FAULTS, LIST_FAULTS
from provisioning.sandbox.provider import Provider
from provisioning.sandbox.server import Server
from provisioning.sandbox.v3 import TOKEN_PATH

__all__ = ["FAULTS", "LIST_FAULTS", "TOKEN_PATH", "Provider", "Server"]
