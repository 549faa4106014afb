"""The ASVS checklist is complete, and everything that it refers to exists."""

import re
from collections import Counter
from importlib import import_module
from typing import Any

import pytest

from signup.abuse import LIMITS
from tests.checkout import ROOT

ITEMS = """
    1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4
    5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2
    8.2:3 8.3:1 8.4:1 9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4
    11.5:1 11.6:1 12.1:3 12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1
    16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2
"""
"""The number of level 1 and 2 items in each section, where they come first."""
TEXT = (ROOT / "docs" / "security" / "asvs.md").read_text()
ROWS: list[tuple[str, str, str, str]] = re.findall(r"^\| ([\d.]+) \| (.+?) \| (.+?) \| (.+) \|$", TEXT, re.MULTILINE)
VERDICTS = {"pass": "pass", "n/a": "do not apply", "**fail**": "fail"}


def references(text: str) -> list[str]:
    """Return the tests, code, and files that the text names in backticks."""
    return re.findall(r"`(tests/[\w/]+\.py::\w+|(?:signup|provisioning)(?:\.\w+)+|[\w./-]*[/.][\w./-]+)`", text)


def test_each_item_is_listed_once() -> None:
    sections = [section.split(":") for section in ITEMS.split()]
    wanted = [f"{section}.{number}" for section, count in sections for number in range(1, int(count) + 1)]

    assert [item for item, *_ in ROWS] == wanted
    assert len(wanted) == 253


def test_the_summary_has_the_right_counts() -> None:
    counted = Counter(verdict for _item, _about, verdict, _how in ROWS)

    assert set(counted) == set(VERDICTS)
    for verdict, words in VERDICTS.items():
        assert f"{counted[verdict]} {words}" in TEXT


def test_a_pass_has_references_and_anything_else_a_reason() -> None:
    assert [item for item, _about, verdict, how in ROWS if verdict == "pass" and not references(how)] == []
    assert [item for item, _about, verdict, how in ROWS if verdict != "pass" and " " not in how] == []


@pytest.mark.parametrize("reference", sorted({each for *_, how in ROWS for each in references(how)}))
def test_every_reference_exists(reference: str) -> None:
    path, _, test = reference.partition("::")
    if test:
        assert re.search(rf"^ *def {test}\(", (ROOT / path).read_text(), re.MULTILINE)
    elif not (ROOT / path).exists() and path not in {"/login/", "/admin/log-in/"}:
        assert found(path) is not None


def found(name: str) -> Any:
    """Return the object with this dotted name."""
    module, _, rest = name.partition(".")
    thing: Any = import_module(module)
    for part in rest.split("."):
        try:
            thing = getattr(thing, part)
        except AttributeError:
            thing = import_module(f"{thing.__name__}.{part}")
    return thing


def test_the_inventory_has_every_limit_with_its_value() -> None:
    inventory = (ROOT / "docs" / "security" / "inventory.md").read_text()
    named = re.findall(r"\(`(\w+)`\) \| (\d+) \| (\d+) \|", inventory)

    assert named == [(name, str(limit.an_hour), str(limit.a_day)) for name, limit in LIMITS.items()]
