"""What a release consists of: made on this machine as the release workflow makes it."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.signup.test_version import VERSION

WORKFLOW = (ROOT / ".github/workflows/release.yml").read_text()


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("This is no clone, so there is nothing to release.")
    dist = tmp_path_factory.mktemp("release") / "dist"
    subprocess.run(["make", "--silent", "-o", ".venv/dev", "release-files", f"DIST={dist}"], cwd=ROOT, check=True)
    return dist


@pytest.mark.slow
def test_the_source_archive_holds_what_is_committed_under_its_version(dist: Path) -> None:
    with tarfile.open(dist / f"constant-contact-signup-{VERSION}.tar.gz") as archive:
        names = archive.getnames()

    assert {name.partition("/")[0] for name in names} == {f"constant-contact-signup-{VERSION}"}
    assert f"constant-contact-signup-{VERSION}/manage.py" in names


@pytest.mark.slow
def test_the_list_of_components_is_that_of_the_image(dist: Path) -> None:
    listed = json.loads((dist / "sbom.cdx.json").read_text())
    pinned = re.findall(r"^([\w.-]+)(?:\[.*\])?==([\w.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)

    assert (listed["bomFormat"], listed["metadata"]["component"]["version"]) == ("CycloneDX", VERSION)
    assert {(each["name"], each["version"]) for each in listed["components"]} == set(pinned)


@pytest.mark.slow
def test_every_file_has_its_checksum(dist: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=dist, capture_output=True, check=True, text=True
    )

    assert len(checked.stdout.splitlines()) == len(list(dist.iterdir())) - 1


@pytest.mark.parametrize("workflow", sorted((ROOT / ".github/workflows").iterdir()), ids=lambda path: path.stem)
def test_every_workflow_pins_foreign_actions(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text())

    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", each)] == []


def test_the_release_has_no_right_that_it_does_not_need() -> None:
    assert "\npermissions: {}\n" in WORKFLOW
    assert "make release-files" in WORKFLOW


def test_the_image_is_built_by_a_driver_that_can_attest() -> None:
    assert WORKFLOW.index("docker/setup-buildx-action@") < WORKFLOW.index("docker/build-push-action@")


def pins(name: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)(?:\[.*\])?(==[\w.]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_all_lists_of_requirements_pin_the_same_versions() -> None:
    """What is tested is what is released, with and without extras."""
    assert pins("requirements.txt") <= pins("requirements-extras.txt") <= pins("requirements-dev.txt")


def test_the_supported_versions_name_this_one() -> None:
    assert f"| {VERSION.partition('.')[0]}.x, the newest release | yes" in (ROOT / "SECURITY.md").read_text()
