"""The product and a minimal Django site, each on its own web server on this machine."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from cryptography.fernet import Fernet
from django.core.signing import Signer

from tests.checkout import Checkout, Program
from tests.postgresql import free_port
from tests.provisioning.values import SIGN_UP

ENVIRONMENT = {
    "SECRET_KEY": "for the benchmark only " + "x" * 50,
    "SEALING_KEYS": Fernet.generate_key().decode(),
    "ALLOWED_HOSTS": "plain.example.com,brand.example.com",
    "SECURE_SSL_REDIRECT": "false",
    "TRUSTED_PROXIES": "127.0.0.1",
    "CONSTANT_CONTACT_API_KEY": "none",
    "CONSTANT_CONTACT_USERNAME": "none",
    "CONSTANT_CONTACT_PASSWORD": "none",
}
CSRF = "x" * 32
HEADERS = {
    "Cookie": f"csrftoken={CSRF}; __Host-csrftoken={CSRF}",
    "Content-Type": "application/x-www-form-urlencoded",
}
BRAND = (
    "from signup.models import Brand;"
    "Brand.objects.create(host='brand.example.com', name='Alder & Co', color='#2454d6', headline='Bring them back')"
)


class Installation:
    """A checkout of the product with its own database, and the servers that were started in it."""

    def __init__(self, directory: Path, database: str, *, abuse_protection: bool = True) -> None:
        self.checkout = Checkout(directory)
        self.checkout.environment |= ENVIRONMENT | {
            "DATABASE_URL": database,
            "ABUSE_PROTECTION": str(abuse_protection),
            "PAGES": str(directory),
        }
        (self.checkout.directory / "bare.py").write_text((Path(__file__).parent / "bare.py").read_text())
        for command in (["migrate"], ["collectstatic", "--no-input"], ["shell", "-c", BRAND]):
            done = self.checkout.run("manage.py", *command)
            assert done.returncode == 0, done.stderr
        self.webs: dict[str, Program] = {}
        self.ours = self.serve("signup.wsgi")
        page = re.sub(r'<input type="hidden" name="csrfmiddlewaretoken"[^>]*>', "", fetch(self.ours))
        (directory / "page.html").write_text(page.replace("</form>", "{% csrf_token %}</form>", 1))
        self.bare = self.serve("bare")

    def serve(self, application: str) -> str:
        """Start a web server like the product's, and return its URL."""
        port = free_port()
        web = self.checkout.start("-m", "gunicorn", "--bind", f"127.0.0.1:{port}", f"{application}:application")
        web.find("Booting worker[^$]*Booting worker")
        url = f"http://127.0.0.1:{port}/"
        fetch(url)
        self.webs[url] = web
        return url

    def serve_everything(self) -> tuple[str, dict[str, int]]:
        """Start `manage.py serve`, and a sandbox for its worker. Return the page's URL, and the processes by role."""
        port, sandbox = free_port(), free_port()
        self.checkout.environment["CONSTANT_CONTACT_URL"] = f"http://127.0.0.1:{sandbox}"
        self.checkout.start("manage.py", "sandbox", "--port", str(sandbox))
        program = self.checkout.start("manage.py", "serve", "--bind", f"127.0.0.1:{port}")
        program.find("Booting worker[^$]*Booting worker")
        return f"http://127.0.0.1:{port}/", {
            "web": int(program.find(r"Listening at: .* \((\d+)\)")[1]),
            "worker": int(program.find(r"worker started name=\S+?(\d+) ")[1]),
            "supervisor": program.process.pid,
        }

    def processor_seconds(self, url: str) -> float:
        """Return the processor time that this web server's processes have used since they started."""
        workers = _children(self.webs[url].process.pid)
        stats = (Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in workers)
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def describe_memory(processes: Mapping[str, int]) -> str:
    """Return a line with the memory of each process by its role. That of the web server includes its children."""
    sizes = (f"{memory(process, children=role != 'supervisor'):.0f} MB {role}" for role, process in processes.items())
    return f"memory: {', '.join(sizes)}"


def memory(process: int, *, children: bool) -> float:
    """Return the proportional set size (PSS) of a process, with that of its child processes or not, in megabytes."""
    processes = [str(process), *(_children(process) if children else ())]
    rollups = (Path(f"/proc/{process}/smaps_rollup").read_text() for process in processes)
    return sum(int(re.findall(r"(?m)^Pss: +(\d+)", rollup)[0]) for rollup in rollups) / 1024


def _children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def fetch(url: str, headers: Mapping[str, str] | None = None) -> str:
    request = Request(url, headers={"Host": "plain.example.com", **(headers or {})})
    with urlopen(request, timeout=60) as response:
        text: str = response.read().decode()
        return text


def sign_up(url: str) -> tuple[str, str]:
    """Send a form. Return the path of the page that it leads to, and the cookies of the browser that may see it."""
    connection = HTTPConnection(url.split("/")[2])
    connection.request("POST", "/", next(forms(1)), HEADERS | {"Host": "plain.example.com"})
    response = connection.getresponse()
    cookies = [cookie.partition(";")[0] for cookie in response.headers.get_all("Set-Cookie", [])]
    return response.headers["Location"], "; ".join(cookies)


def forms(number: int) -> Iterator[str]:
    """Yield this many forms from different customers, sent long enough after they were shown."""
    stamps = Signer(key=ENVIRONMENT["SECRET_KEY"], fallback_keys=[], salt="signup.abuse")
    for _ in range(number):
        submission = uuid.uuid4()
        own = {
            "csrfmiddlewaretoken": CSRF,
            "submission": str(submission),
            "shown": stamps.sign_object([str(submission), time.time() - 60]),
            "username": f"anna-{submission.hex}",
            "email": f"anna-{submission.hex}@example.com",
            "password": "long-enough-4711",
        }
        yield urlencode({**SIGN_UP, "website": "https://bakery.example.com"} | own)
