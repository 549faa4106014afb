"""The version is set in pyproject.toml, and shown everywhere from there."""

import re
import tomllib

from django.test import Client

from tests.checkout import ROOT, Checkout

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_command_line_prints_it_without_any_configuration(checkout: Checkout) -> None:
    for command in ("--version", "version"):
        assert checkout.run("manage.py", command).stdout == f"{VERSION}\n"


def test_the_admin_shows_it_only_to_staff(admin_client: Client, client: Client) -> None:
    shown = f"Constant Contact sign-up {VERSION}"

    assert shown in admin_client.get("/admin/").content.decode()
    assert shown not in client.get("/admin/login/").content.decode()
    assert VERSION not in client.get("/").content.decode()


def test_the_changelog_has_each_version_with_a_date_newest_first() -> None:
    headings = re.findall("^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    versions = [heading for heading in headings if heading != "Unreleased"]

    assert headings.count("Unreleased") <= 1
    assert "Unreleased" not in headings[1:]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", version) for version in versions)
    assert len({version.split()[0] for version in versions}) == len(versions)
    assert versions[0].split()[0] == VERSION
