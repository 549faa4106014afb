"""The sandbox: Constant Contact's partner API on this machine, as strict as the vendor's contract, or stricter.

Partners try their page against it before they have credentials (`manage.py sandbox`), and the tests of everything that
can go wrong talk to it over real HTTP:

    with Server(Provider(api_key, username, password, api="v3")) as server:
        ...  # point CONSTANT_CONTACT_URL at server.url, and CONSTANT_CONTACT_TOKEN_URL at server.token_url
        server.provider.fail_next("create", "reset-after")
        server.provider.hold("anna", "Another bakery")  # Somebody else's, in the partner's list
        server.provider.list_lag = 90
        server.provider.down = "404"

From top to bottom: `server` moves bytes and knows HTTP only; `provider` holds what a provider holds whatever its
dialect (accounts, limits, calls, faults); `dialect` judges requests, in the words of `v2` or `v3`: paths,
authentication, property names, errors. The package takes the rules for values from `provisioning.rules`, and nothing
else from the product.
"""

from provisioning.sandbox.faults import FAULTS, LISTS
from provisioning.sandbox.provider import Provider
from provisioning.sandbox.server import Server
from provisioning.sandbox.v3 import TOKEN_PATH

__all__ = ["FAULTS", "LISTS", "TOKEN_PATH", "Provider", "Server"]
