"""Run Wapiti, a vulnerability scanner, against a real installation behind the real proxy: `python -m tests.wapiti`.

uv installs it from its cache. The command fails if Wapiti finds anything above the level "information".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import django

from tests import environment  # noqa: F401  # It sets what Django reads.

WAPITI = "wapiti3==3.2.3"
MODULES = "crlf,exec,file,methods,permanentxss,redirect,sql,ssrf,xss,xxe,csrf,cookieflags,csp,http_headers"


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signup.settings")
    django.setup()
    from tests.browser.installation import Installation
    from tests.deploy.proxy import Nginx

    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        with (
            Installation(Path(directory), TRUSTED_PROXIES="127.0.0.1", SECURE_SSL_REDIRECT="true") as site,
            Nginx(Path(directory), site.url.removeprefix("http://")) as nginx,
        ):
            page = f"https://localhost:{nginx.port}/"
            wapiti = ["uv", "tool", "run", "--from", WAPITI, "wapiti", "--url", page, "--start", f"{page}admin/login/"]
            limits = ["--max-scan-time", "600", "--max-attack-time", "60", "--scope", "domain", "--verify-ssl", "0"]
            output = ["--format", "json", "--output", str(report), "--flush-session", "--no-bugreport"]
            command = [*wapiti, *limits, "--module", MODULES, *output, "--store-session", directory]
            subprocess.run([sys.executable, "-m", *command], check=True)
        found = json.loads(report.read_text())["vulnerabilities"]
        serious = {name: each for name, each in found.items() if each}
        for name, each in serious.items():
            print(name, json.dumps(each, indent=2))  # noqa: T201
        log = (Path(directory) / "log").read_text()
    return 1 if serious or "Internal Server Error" in log else 0


if __name__ == "__main__":
    sys.exit(main())
