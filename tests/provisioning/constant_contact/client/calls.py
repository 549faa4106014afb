"""Calls of one customer with the credentials of one partner."""

import socket
from collections.abc import Callable
from dataclasses import replace

from provisioning.constant_contact import Answer, Client, Credentials, connect
from tests.patience import PATIENCE
from tests.provisioning.constant_contact.peer import peer

KEY, PASSWORD, SECRET, TOKEN = "canary-api-key", "canary-partner-password", "canary.Customer_1", "canary-token"
CREDENTIALS = Credentials(url="http://127.0.0.1:9", api_key=KEY, username="partner", password=PASSWORD)
ANNA = {
    "username": "anna",
    "password": SECRET,
    "organization_name": "Anna & Söhne",
    "first_name": "Anna",
    "last_name": "Novák",
    "email": "anna@nullmailer.com",
    "phone": "555-555-5555",
    "country_code": "US",
    "state_code": "MA",
    "website": "",
    "gdpr_opt_out": False,
}


def client(url: str, *, timeout: float = PATIENCE, oauth2_token: bool = False) -> Client:
    return connect("v2", replace(CREDENTIALS, url=url, oauth2_token=oauth2_token), timeout=timeout)


def ask(say: Callable[[socket.socket], None], timeout: float = PATIENCE, **properties: str) -> Answer:
    with peer(say) as provider:
        return client(provider.url, timeout=timeout).create(ANNA | properties)
