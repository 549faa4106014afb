"""The problem that a sign-up has."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError


def problem_with(act: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(ValidationError) as refusal:
        act()
    ((name, (problem,)),) = refusal.value.error_dict.items()
    return name, problem.code
