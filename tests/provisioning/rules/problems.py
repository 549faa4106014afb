"""A valid account, and the problems of values."""

from collections.abc import Mapping

import pytest
from django.core.exceptions import ValidationError

from provisioning import rules

ACME = {
    "username": "acme",
    "password": "secret.1",
    "organization_name": "Acme",
    "first_name": "Ann",
    "last_name": "Lee",
    "email": "ann@example.com",
    "phone": "555-5555",
    "country_code": "US",
    "state_code": "TX",
}


def problems(values: Mapping[str, object]) -> dict[str, list[str]]:
    """Return property → the codes of its errors."""
    with pytest.raises(ValidationError) as raised:
        rules.clean(values)
    return {name: [str(error.code) for error in errors] for name, errors in raised.value.error_dict.items()}
