"""Everything that the documents refer to exists: links, headings, files, make targets, and commands."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.checkout import ROOT

documents = pytest.mark.parametrize(
    "document", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name
)
FOLDERS = ("deploy", "docs", "provisioning", "signup", "static", "templates", "tests")


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@documents
def test_every_link_has_a_target(document: Path) -> None:
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", document.read_text()):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), anchor


@documents
def test_every_named_file_exists(document: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)", document.read_text())

    assert [path for path in named if not (ROOT / path).exists() and "/pt/" not in path] == []


@documents
def test_every_named_command_exists(document: Path) -> None:
    text = document.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"manage\.py ([a-z]\w*)", text)) <= {*get_commands(), "help", "version"}
