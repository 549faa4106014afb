"""docs/api.md: its samples run against a real server, and its tables are complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from signup.abuse import LIMITS
from signup.api import access, bodies, document
from signup.api.listing import MAX_PAGE_SIZE, PARAMETERS
from signup.api.models import Scope
from signup.api.problems import CODES
from tests.checkout import ROOT
from tests.patience import PATIENCE
from tests.signup.api.conftest import Site
from tests.signup.api.partner import SIGNUPS, Partner

GUIDE = (ROOT / "docs/api.md").read_text()
RUN = {"sh": ["bash"], "python": [sys.executable], "javascript": ["node"], "php": ["php"]}
"""Language of a sample → the command that runs it."""


def sample(language: str) -> str:
    """Return the sample, for a customer and an order of its own."""
    (text,) = re.findall(rf"^```{language}\n(.+?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    own = uuid.uuid4().hex[:8]
    return str(text.replace("anna.bakery", f"anna.{own}").replace("order-4711", f"order-{own}"))


@pytest.mark.parametrize("language", RUN)
def test_a_sample_creates_an_account(site: Site, tmp_path: Path, language: str) -> None:
    if not shutil.which(RUN[language][0]):
        pytest.skip(f"{RUN[language][0]} is not installed.")
    script = tmp_path / "sample"
    script.write_text(sample(language))
    environment = os.environ | {"SIGNUP_URL": site.url, "SIGNUP_KEY": site.key}

    with site.installation.worker():
        ran = subprocess.run(
            [*RUN[language], script], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    assert ran.returncode == 0, ran.stderr
    assert re.search('"state": "queued"' if language == "sh" else r"^created \d+$", ran.stdout, re.MULTILINE)


def test_every_problem_is_in_the_table_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| \w", GUIDE, re.MULTILINE)

    assert {code: int(status) for status, code in rows} == {code: status for code, (status, _detail) in CODES.items()}
    assert len(rows) == len(CODES)


@pytest.mark.django_db
def test_the_answer_is_that_to_the_first_sample() -> None:
    (shown,) = (json.loads(text) for text in re.findall(r"```json\n(.+?)```", GUIDE, re.DOTALL) if "reference" in text)
    (body,) = re.findall(r"--data '(.+?)'\n```", GUIDE, re.DOTALL)
    entered = json.loads(body.replace("'\\''", "'"))

    answer = Partner().send(SIGNUPS, entered, **{"Idempotency-Key": "order-4711"}).json()

    assert list(shown) == list(answer)
    assert {name: value for name, value in shown.items() if name in entered} == {
        name: value for name, value in answer.items() if name in entered
    }


def test_every_request_is_in_the_table_with_its_scope() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/api/\S+)` \| `(\w+)` \|", GUIDE, re.MULTILINE)
    described = {
        (method.upper(), path.replace("{reference}", "REFERENCE"), scope)
        for path, methods in document.build()["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
        for scope in Scope
        if f"`{scope}`" in operation["description"]
    }

    assert set(rows) == described


def test_the_limits_are_those_of_the_code() -> None:
    for limit in LIMITS["key"], LIMITS["email"], LIMITS["correction"]:
        assert f"{limit.an_hour:,} an hour, {limit.a_day:,} a day" in GUIDE
    assert f"{access.REQUESTS_A_MINUTE} a minute" in GUIDE
    assert f"{bodies.MAX_BYTES // 1024} KB" in GUIDE
    assert f"1 to {MAX_PAGE_SIZE}" in GUIDE
    assert all(f"`{name}`" in GUIDE for name in PARAMETERS)
