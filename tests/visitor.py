"""A visitor of a real web server: a browser with cookies, without JavaScript."""

from __future__ import annotations

import re
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

from tests.checkout import Checkout
from tests.patience import PATIENCE


class Visitor:
    """Visits `site`, an address like `http://127.0.0.1:8000`. `headers` go with each request."""

    def __init__(self, site: str, **headers: str) -> None:
        self.site = site
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self._opener.addheaders = list(headers.items())

    def open(self, path: str, form: dict[str, str] | None = None) -> str:
        """Return the page, or what follows the form on it, filled out like this. Raises HTTPError."""
        data = None
        if form is not None:
            hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.open(path))
            data = urlencode(dict(hidden) | form).encode()
        with self._opener.open(self.site + path, data, timeout=PATIENCE) as response:
            return str(response.read().decode())


def serve(checkout: Checkout, **headers: str) -> Visitor:
    """Start a web server, and return a visitor of it."""
    web = checkout.start("-m", "gunicorn", "--bind=127.0.0.1:0", "--workers=1")
    return Visitor(web.find(r"Listening at: (http://127\.0\.0\.1:\d+)")[1], **headers)
