"""Programs that tests need and that may not be installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

Program = TypeVar("Program")


def installed(program: Callable[..., Program], *arguments: Any) -> Program:
    """Return the program. If it isn't installed (FileNotFoundError), skip the test, or fail it in CI."""
    try:
        return program(*arguments)
    except FileNotFoundError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


def found(program: str, package: str) -> str:
    """Return the path of a program, of this Debian package. If it isn't installed, skip the test, or fail it in CI."""

    def find() -> str:
        if path := shutil.which(program):
            return path
        raise FileNotFoundError(f"No {program}: on Debian, apt-get install {package}")

    return installed(find)
