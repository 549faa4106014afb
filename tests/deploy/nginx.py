"""The reverse proxy of deploy/nginx.conf, unchanged except for its ports and paths.

Raises FileNotFoundError if there is no nginx.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.patience import PATIENCE
from tests.postgresql import free_port

CONFIGURATION = Path(__file__).parent.parent.parent / "deploy" / "nginx.conf"
HOST = "localhost"


class Nginx:
    """Forwards HTTPS requests to `port` to `upstream`, like `127.0.0.1:8000`. `http_port` is for plain HTTP."""

    def __init__(self, directory: Path, upstream: str) -> None:
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        if not nginx:
            raise FileNotFoundError("No nginx: on Debian, apt-get install nginx-light")
        self.directory, self.port, self.http_port = directory, free_port(), free_port()
        self.log, self.certificate, self._key = (directory / name for name in ("access.log", "cert.pem", "key.pem"))
        certify(self.certificate, self._key)
        site = directory / "site.conf"
        site.write_text(self._adapted(CONFIGURATION.read_text(), upstream))
        main = directory / "nginx.conf"
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        main.write_text(
            ("user root;\n" if os.getuid() == 0 else "")
            + f"daemon off;\npid {directory}/pid;\nerror_log {directory}/error.log;\nevents {{}}\nhttp {{\n"
            + "".join(f"{name}_temp_path {directory}/{name};\n" for name in temporary)
            + f"include {site};\n}}\n"
        )
        self._command = [nginx, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(main)]

    def __enter__(self) -> Self:
        with (self.directory / "output").open("wb") as output:
            self._process = subprocess.Popen(self._command, stderr=output)
        while not (self.directory / "pid").exists():
            assert self._process.poll() is None, (self.directory / "output").read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)

    @property
    def trusting(self) -> ssl.SSLContext:
        """Return a TLS context for clients that trust its certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def _adapted(self, text: str, upstream: str) -> str:
        for pattern, instead in (
            (r"listen \[::\]:.*;", ""),  # Not every machine speaks IPv6.
            (r"listen 443 ", f"listen 127.0.0.1:{self.port} "),
            (r"listen 80\b", f"listen 127.0.0.1:{self.http_port}"),
            (r"signup\.example\.com(?=;)", HOST),
            (r"ssl_certificate .*;", f"ssl_certificate {self.certificate};"),
            (r"ssl_certificate_key .*;", f"ssl_certificate_key {self._key};"),
            (r"/var/log/nginx/signup\.log", str(self.log)),
            (r"127\.0\.0\.1:8000", upstream),
            (r"https://\$host\$request_uri", f"https://$host:{self.port}$request_uri"),
        ):
            text, times = re.subn(pattern, instead, text)
            assert times, f"{CONFIGURATION.name} has no {pattern} any more."
        return text


def certify(certificate: Path, key: Path) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, own.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(own, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
