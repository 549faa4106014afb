"""The reverse proxies of deploy/, unchanged except for their ports and paths."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from tests.certificates import HOST, certify
from tests.checkout import ROOT
from tests.patience import PATIENCE
from tests.postgresql import free_port

SBIN = "/usr/sbin:/usr/local/sbin"


class Proxy(ABC):
    """Forwards HTTPS requests to `port` to `upstream`, like `127.0.0.1:8000`. `http_port` is for plain HTTP.

    Raises FileNotFoundError if the program is not installed.
    """

    program: str
    package: str
    configuration: str

    def __init__(self, directory: Path, upstream: str) -> None:
        program = shutil.which(self.program, path=f"{os.environ['PATH']}:{SBIN}")
        if not program:
            raise FileNotFoundError(f"No {self.program}: on Debian, apt-get install {self.package}")
        self.directory, self.upstream, self.port, self.http_port = directory, upstream, free_port(), free_port()
        self.log, self.certificate, self.key = (directory / name for name in ("access.log", "cert.pem", "key.pem"))
        certify(self.certificate, self.key)
        self._command = [program, *self.configure()]

    @abstractmethod
    def configure(self) -> list[str]:
        """Write the configuration, and return the arguments to start with."""

    @abstractmethod
    def is_started(self) -> bool:
        """Whether the program has begun to listen."""

    def adapted(self, *changes: tuple[str, str]) -> str:
        """Return the documented configuration with each pattern replaced."""
        text = (ROOT / "deploy" / self.configuration).read_text()
        for pattern, instead in changes:
            text, times = re.subn(pattern, instead, text)
            assert times, f"{self.configuration} has no {pattern} any more."
        return text

    def __enter__(self) -> Self:
        environment = os.environ | {"XDG_DATA_HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory)}
        self.output = self.directory / "output"
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output, env=environment)
        while not self.is_started():
            assert self._process.poll() is None, self.output.read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)

    @property
    def trusting(self) -> ssl.SSLContext:
        """Return a TLS context for clients that trust its certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))


class Nginx(Proxy):
    program, package, configuration = "nginx", "nginx-light", "nginx.conf"

    def configure(self) -> list[str]:
        site, main, errors = (self.directory / name for name in ("site.conf", "nginx.conf", "error.log"))
        site.write_text(
            self.adapted(
                (r"listen \[::\]:.*;", ""),  # Not every machine speaks IPv6.
                (r"listen 443 ", f"listen 127.0.0.1:{self.port} "),
                (r"listen 80\b", f"listen 127.0.0.1:{self.http_port}"),
                (r"signup\.example\.com(?=;)", HOST),
                (r"ssl_certificate .*;", f"ssl_certificate {self.certificate};"),
                (r"ssl_certificate_key .*;", f"ssl_certificate_key {self.key};"),
                (r"/var/log/nginx/signup\.log", str(self.log)),
                (r"/var/log/nginx/error\.log", str(errors)),
                (r"127\.0\.0\.1:8000", self.upstream),
                (r"https://\$host\$request_uri", f"https://$host:{self.port}$request_uri"),
            )
        )
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        main.write_text(
            ("user root;\n" if os.getuid() == 0 else "")
            + f"daemon off;\npid {self.directory}/pid;\nerror_log {errors};\nevents {{}}\nhttp {{\n"
            + f"access_log {self.directory}/others.log;\n"  # As Debian's does.
            + "".join(f"{name}_temp_path {self.directory}/{name};\n" for name in temporary)
            + f"include {site};\n}}\n"
        )
        return ["-p", str(self.directory), "-e", str(errors), "-c", str(main)]

    def is_started(self) -> bool:
        return (self.directory / "pid").exists()


class Caddy(Proxy):
    program, package, configuration = "caddy", "caddy", "Caddyfile"

    def configure(self) -> list[str]:
        ports = f"http_port {self.http_port}\n\thttps_port {self.port}\n\tdefault_bind 127.0.0.1\n\tadmin off"
        file = self.directory / "Caddyfile"
        file.write_text(
            self.adapted(
                (r"\n{\n", f"\n{{\n\t{ports}\n"),
                (r"\nsignup\.example\.com {\n", f"\n{HOST} {{\n\ttls {self.certificate} {self.key}\n"),
                (r"http://signup\.example\.com", f"http://{HOST}"),
                (r"/var/log/caddy/signup\.log", str(self.log)),
                (r"127\.0\.0\.1:8000", self.upstream),
                (r"lb_try_duration \d+s", "lb_try_duration 5s"),  # Tests of a page that is down have to wait, too.
                (r"https://{host}{uri}", f"https://{{host}}:{self.port}{{uri}}"),
            )
        )
        return ["run", "--config", str(file), "--adapter", "caddyfile"]

    def is_started(self) -> bool:
        return "serving initial configuration" in self.output.read_text()
