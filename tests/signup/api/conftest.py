import pytest

from tests.signup.api.partner import Partner


@pytest.fixture
def partner(db: None) -> Partner:
    return Partner()
