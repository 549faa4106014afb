"""The score of the headers by Mozilla's HTTP Observatory, with TLS and the documented proxy in front."""

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.browser.installation import Installation
from tests.deploy.proxy import Proxy

pytestmark = pytest.mark.slow

SCANNER = Path(__file__).parent.parent / "observatory"
AT_LEAST = 130
"""An A+. 135 is the maximum without being on browsers' own (HSTS preload) lists."""
PAGES = {
    "/": 200,
    "/admin/login/": 200,
    "/nowhere": 404,
    f"/signup/{uuid.uuid4()}/": 404,
    "/signup/open/": 404,
    "/healthz": 200,
}


@pytest.fixture
def scanner() -> Path:
    """Return the scanner's script. If it is not installed, skip the test, or fail it in CI."""
    if shutil.which("node") and (SCANNER / "node_modules").exists():
        return SCANNER / "scan.mjs"
    message = "No Observatory: where Node is (on Debian: apt-get install nodejs npm), `make test` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def test_form_admin_and_error_pages_get_an_a_plus(behind: tuple[Installation, Proxy], scanner: Path) -> None:
    _site, proxy = behind
    command = ["node", str(scanner), str(proxy.http_port), str(proxy.port), *PAGES]
    environment = os.environ | {"NODE_EXTRA_CA_CERTS": str(proxy.certificate)}

    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    scanned = [json.loads(line) for line in said.splitlines()]
    assert {each["path"]: each["status"] for each in scanned} == PAGES
    assert not [each for each in scanned if each["score"] < AT_LEAST], scanned
